"""HTTP, jobs and storage around `pipelines`; no speech mathematics here.

api            HTTP: the routes, and what surrounds every request
openai         OpenAI's transcription API in our words
work           a worker, its processes, and who is told of the end
records        what the databases know
files          files of jobs, in a folder or an object store
running        the service as a process
observability  what operators are told
parts          what API and workers share, opened
keys           who may call
problems       errors as documents
settings       every setting, from the environment
cli            `turnwise` with the service's commands
"""
