"""Which attempt at a stage counts, where the files of jobs lie in an object store."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stages", sa.Column("accepted", sa.String(16), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("stages", "accepted")
