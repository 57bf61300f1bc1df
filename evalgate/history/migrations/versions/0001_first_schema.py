"""The first schema.

A migration is a record of the past: it names its own tables and imports nothing that may change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    *("versions", "plans", "case_texts", "cases"),
    *("runs", "results", "scores", "summaries", "verdicts", "blessings"),
)

_REFUSE_SQLITE = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the history of evalgate is append only'); END
"""
_REFUSE_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION evalgate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the history of evalgate is append only'; END $$
"""
_REFUSE_POSTGRES = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION evalgate_refuse()
"""


def upgrade() -> None:
    op.create_table(
        "versions",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("id", sa.Text),
        sa.Column("parts", sa.Text, nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("n_cases", sa.Integer, nullable=False),
    )
    op.create_table(
        "case_texts",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("input", sa.Text),
        sa.Column("expected", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
    )
    op.create_table(
        "cases",
        sa.Column("plan", sa.String(32), sa.ForeignKey("plans.key"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("scorers", sa.Text),
        sa.Column("critical", sa.Boolean, nullable=False),
        sa.Column("cluster", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("texts", sa.String(32), sa.ForeignKey("case_texts.key"), nullable=False),
        sa.Column("source_file", sa.Text),
        sa.Column("source_line", sa.Integer),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("suite", sa.Text, nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("commit_sha", sa.Text),
        sa.Column("branch", sa.Text),
        sa.Column("version", sa.String(32), sa.ForeignKey("versions.key"), nullable=False),
        sa.Column("evalset", sa.Text),
        sa.Column("selection", sa.Text),
        sa.Column("stopped", sa.Text),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("plan", sa.String(32), sa.ForeignKey("plans.key"), nullable=False),
        sa.Column("n_results", sa.Integer, nullable=False),
        sa.Column("n_unscored", sa.Integer, nullable=False),
        sa.Column("score", sa.Float(53)),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("calls_saved", sa.BigInteger, nullable=False),
        sa.Column("tokens_in", sa.BigInteger),
        sa.Column("tokens_out", sa.BigInteger),
        sa.Column("cost_usd", sa.Float(53)),
        sa.Column("wall_s", sa.Float(53)),
        sa.Column("metadata", sa.Text, nullable=False),
    )
    op.create_index("runs_by_suite", "runs", ["suite", "created"])
    op.create_table(
        "results",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.number"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("score", sa.Float(53)),
        sa.Column("stage", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("has_output", sa.Boolean, nullable=False),
        sa.Column("latency_s", sa.Float(53)),
        sa.Column("tokens_in", sa.BigInteger),
        sa.Column("tokens_out", sa.BigInteger),
        sa.Column("cost_usd", sa.Float(53)),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("system_fingerprint", sa.Text),
        sa.Column("response_id", sa.Text),
        sa.Column("finish_reason", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("data", sa.Text),
        sa.Column("tool_calls", sa.Text),
        sa.Column("contexts", sa.Text),
    )
    op.create_table(
        "scores",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("result", sa.Integer, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("scorer", sa.Text, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("weight", sa.Float(53), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["run", "result"], ["results.run", "results.position"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "summaries",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.number"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("metric", sa.String(32), nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "verdicts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.number"), nullable=False, index=True),
        sa.Column("decided", sa.String(27), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("exit_code", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "blessings",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.number"), nullable=False, index=True),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(_REFUSE_POSTGRES_FUNCTION)
    for table in _TABLES:
        if dialect == "sqlite":
            for verb in ("update", "delete"):
                op.execute(_REFUSE_SQLITE.format(table=table, verb=verb).strip())
        else:
            op.execute(_REFUSE_POSTGRES.format(table=table).strip())
