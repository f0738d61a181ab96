"""Alembic: the versions of our tables. `alembic` itself calls env.py; `database.migrate` calls `alembic`."""
