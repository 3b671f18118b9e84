"""Compare the gradient of many random graphs with finite differences, and count.

The graphs, and what is asked of them, are those of tests/autodiff/test_properties.py.

Environment: pip install -e '.[test]'
Run from the folder tests/: python ../scripts/random_graphs.py [COUNT [FIRST SEED]]
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from autodiff.random_graphs import random_graph
from autodiff.test_properties import Unfit, check, described


def main(count: int, first: int) -> None:
    warnings.simplefilter("ignore")
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + count):
        g = random_graph(seed)
        try:
            check(g, dynamic=False)
            outcomes["right"] += 1
        except Unfit:
            outcomes["nothing to compare"] += 1
        except Exception as error:  # a wrong gradient, or a rewritten model that does not run
            outcomes["wrong"] += 1
            print(f"seed {seed}, opset {g.opset}, {described(g)}: {' '.join(str(error).split())}")
    print(dict(outcomes))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [2000, 1_000_000][len(numbers) :]))
