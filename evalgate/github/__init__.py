"""GitHub: where a run stands (`event`), the pull request's comment (`comment`), the job's surface (`actions`).

The only place that talks to GitHub. It is given finished reports and must not know how a verdict came about.
"""
