"""Numbers in, numbers out: each formula with its source. Knows nothing of cases, runs or rules.

Written with numpy and the standard library alone: importing scipy takes longer than a small run. The tests
compare with scipy and statsmodels.
"""
