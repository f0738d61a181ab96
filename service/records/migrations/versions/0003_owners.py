"""Jobs by owner: an index in the order of pages, the turn in the queue, and the space each job takes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("jobs_by_owner", "jobs")
    op.create_index("jobs_by_owner", "jobs", ["owner", "id"])
    op.add_column("jobs", sa.Column("turn", sa.Integer, nullable=False, server_default="0"))
    # Nobody knows the size of a job from before until it ends.
    op.add_column("jobs", sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("jobs", "size_bytes")
    op.drop_column("jobs", "turn")
    op.drop_index("jobs_by_owner", "jobs")
    op.create_index("jobs_by_owner", "jobs", ["owner", "created", "id"])
