"""The last day on which a blessing holds.

Those that were given before hold for good.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blessings", sa.Column("expires", sa.String(10)))
