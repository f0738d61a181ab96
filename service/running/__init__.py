"""A service as a process.

serving  the API as a process
working  a worker as a process
"""
