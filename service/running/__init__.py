"""A service as a process, and what operators do beside it.

serving    the API as a process
door       its connections, bounded
working    a worker as a process
operating  keys and jobs on the command line
"""
