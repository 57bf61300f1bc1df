"""Steps and confirmations of runs, stored requests, events of drift, names of blessings.

What older runs do not know stays NULL in them. A migration is a record of the past: it names its own tables and imports
nothing that may change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSE_SQLITE = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the history of evalgate is append only'); END
"""
_REFUSE_POSTGRES = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION evalgate_refuse()
"""


def upgrade() -> None:
    for name in ("steps", "against", "confirmation"):
        op.add_column("runs", sa.Column(name, sa.Text))
    op.add_column("results", sa.Column("phase", sa.Text))
    op.add_column("blessings", sa.Column("name", sa.Text))
    op.create_table(
        "drifts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.number"), nullable=False, index=True),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("before", sa.Float(53), nullable=False),
        sa.Column("after", sa.Float(53), nullable=False),
        sa.Column("p", sa.Float(53), nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("version", sa.String(32), sa.ForeignKey("versions.key"), primary_key=True),
        sa.Column("plan", sa.String(32), sa.ForeignKey("plans.key"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    for table in ("drifts", "requests"):
        if op.get_bind().dialect.name == "sqlite":
            for verb in ("update", "delete"):
                op.execute(_REFUSE_SQLITE.format(table=table, verb=verb).strip())
        else:
            op.execute(_REFUSE_POSTGRES.format(table=table).strip())
