"""The service as a process, and the commands of its operators.

serving    the API as a process
door       limits for its connections
working    a worker as a process
operating  keys and jobs on the command line
"""
