"""Measurements of what is kept on the repository: see `writers`."""
