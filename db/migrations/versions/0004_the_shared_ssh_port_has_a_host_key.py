"""the shared ssh port has a host key"""

import sqlalchemy as sa
from alembic import op
revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('installation', sa.Column('sealed_ssh_host_key', sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column('installation', 'sealed_ssh_host_key')
