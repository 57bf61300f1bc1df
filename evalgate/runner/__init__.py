"""A plan (which cases, which epochs) times an endpoint and scorers gives results. Knows no gating and no GitHub."""
