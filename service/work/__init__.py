"""The work on jobs: a worker, its processes, and who is told of the end.

worker          takes jobs and webhooks, and looks after what others left
liveness        which worker processes live
runner          a job through its stages
children        the processes that do the heavy work
decode_process  in one of them: an untrusted recording to samples
stage_process   in the others: what a stage reads, does and leaves
webhooks        one signed POST when a job has ended
deletion        a job deleted, with all that belongs to it
"""
