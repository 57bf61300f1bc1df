"""Simulated pull requests through evalgate's own decision: `python -m benchmarks.decision` proves its figures."""
