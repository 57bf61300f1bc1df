"""How fast the runner is, what it costs, and what it survives. `benchmarks/README.md` has the commands."""
