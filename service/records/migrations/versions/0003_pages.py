"""The index that pages of jobs are read from, in their order: a job's id grows with its time."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("jobs_by_owner", "jobs")
    op.create_index("jobs_by_owner", "jobs", ["owner", "id"])


def downgrade() -> None:
    op.drop_index("jobs_by_owner", "jobs")
    op.create_index("jobs_by_owner", "jobs", ["owner", "created", "id"])
