"""The history: run ↔ store, and the choice of the baseline. Must not know the gate.

Plain SQL on the databases' own drivers: opening a history that has the newest schema imports neither SQLAlchemy nor
alembic, which migrate the older ones.
"""
