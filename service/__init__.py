"""HTTP, jobs and storage around `pipelines`; no speech mathematics here.

api            HTTP: the routes, and what surrounds every request
openai         OpenAI's transcription API
work           a worker, its processes, and the webhooks sent when a job ends
records        the rows of jobs and keys, and the durable workflows
files          files of jobs, in a folder or an object store
running        the service as a process
observability  logs, metrics, traces and health checks
parts          opens what API and workers share
keys           who may call
problems       errors as problem documents
settings       every setting, from the environment
cli            `turnwise` with the service's commands
"""
