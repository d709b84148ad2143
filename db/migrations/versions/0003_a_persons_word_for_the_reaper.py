"""a person's word for the reaper"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('strays', sa.Column('permitted_until', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column('strays', 'permitted_until')
