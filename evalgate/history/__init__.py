"""The history: run ↔ store, and the choice of the baseline. Must not know the gate.

Importing this package, `listing`, `git` or `baseline` costs nothing; `store` brings SQLAlchemy, so import it in the
function that opens a history.
"""
