"""What Alembic runs: the versions, over the connection that `service.records.database.migrate` hands it."""

from alembic import context

from service.records.database import VERSIONS, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSIONS,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
