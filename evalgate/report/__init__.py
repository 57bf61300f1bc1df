"""Verdict, run or history → text for people and machines. Chooses which rows to show; decides nothing.

Each sink has one renderer and one escape function: terminal and log (`terminal`, `escape.plain`), Markdown
(`markdown`, `escape.cell`, `escape.code`, `escape.fence`), JUnit XML (`junit`), JSON (`machine`).
"""
