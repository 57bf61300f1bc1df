"""The order of the stages, and nothing else: the command line and the Python door call it, it prints nothing.

load → execute → record → judge → report
"""
