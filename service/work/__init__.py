"""The work on jobs: a worker, its processes, and webhooks.

worker          runs jobs and webhooks, and recovers those of dead workers
liveness        which worker processes are alive
runner          takes a job through its stages
persistence     repeats work until database and disk answer
children        the processes that do the heavy work
decode_process  in one of them: turns an untrusted recording into samples
stage_process   in the others: what a stage reads, does and writes
answering       how these processes answer
webhooks        one signed POST when a job has ended
deletion        deletes a job with its files and workflows
"""
