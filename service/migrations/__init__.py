"""Alembic: the versions of our tables. `alembic` itself calls env.py; `service.database.migrate` calls
`alembic`."""
