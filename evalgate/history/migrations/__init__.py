"""The schema's history: one file a step, run by alembic when a database is older than this evalgate."""
