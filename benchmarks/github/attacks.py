"""How many attacks there are, through what and into what they are put, and how many get through.

python benchmarks/github/attacks.py
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "hostile")]


def main() -> int:
    """1 where one gets through."""
    from carriers import CARRIERS, carried
    from corpus import ATTACKS
    from sinks import SINKS, Written

    through: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for attack in ATTACKS:
            written = Written(carried(attack.text), Path(folder))
            for sink, read in SINKS.items():
                through += [f"{attack.kind}: {attack.name} into {sink}: {complaint}" for complaint in read(written)]
    for kind, number in Counter(attack.kind for attack in ATTACKS).items():
        print(f"{number:6,}  {kind}")
    print(f"{len(ATTACKS):6,}  attacks")
    print(f"{len(CARRIERS):6,}  carriers: {', '.join(CARRIERS)}")
    print(f"{len(SINKS):6,}  sinks: {', '.join(SINKS)}")
    print(f"{len(ATTACKS) * len(CARRIERS) * len(SINKS):6,}  ways; {len(through)} got through")
    print("\n".join(through))
    return 1 if through else 0


if __name__ == "__main__":
    sys.exit(main())
