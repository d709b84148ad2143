"""machines that are reached through the cloud's SSH relay"""

import sqlalchemy as sa
from alembic import op
revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('leases', sa.Column('ssh_way', sa.String(), server_default='direct', nullable=False))


def downgrade() -> None:
    op.drop_column('leases', 'ssh_way')
