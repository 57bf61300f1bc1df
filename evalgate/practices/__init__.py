"""What the history says about how a system is run: trends today. Knows no GitHub, draws nothing."""
