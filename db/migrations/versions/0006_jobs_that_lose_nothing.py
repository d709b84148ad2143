"""jobs whose files wait on a stopped machine, and whose workspace comes along"""

import sqlalchemy as sa
from alembic import op
revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('job_attempts', sa.Column('collect_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('job_attempts', sa.Column('aside_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('job_attempts', sa.Column('restored_from', sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column('job_attempts', 'restored_from')
    op.drop_column('job_attempts', 'aside_until')
    op.drop_column('job_attempts', 'collect_at')
