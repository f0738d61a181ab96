"""What the database holds: the API's rows, and the workflows.

jobs        the rows of jobs and stages, and every change made to them
owners      which key owns which job, for operators
workflows   the durable workflows, on DBOS
database    SQLite or PostgreSQL, and its tables
migrations  the versions of the tables
"""
