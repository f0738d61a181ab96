"""What the databases know: the API's rows, and the workflows.

jobs        the rows of jobs and stages, and every change made to them
owners      whose jobs are whose, for operators
workflows   the durable workflows, on DBOS
database    SQLite or PostgreSQL, and its tables
migrations  the versions of the tables
"""
