"""Makes the corpus, its carriers and its sinks importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
