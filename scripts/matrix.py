"""Try the whole matrix of convolutions and poolings, and say how many of the gradients are right.

Environment: pip install -e '.[test]'
Run from the repository root: python scripts/matrix.py [Conv ConvTranspose MaxPool AveragePool]
Every `--every`-th case is tried; the default is all of them, a quarter of an hour.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from autodiff.matrix import MATRICES, outcome


def tried(op: str, every: int) -> bool:
    """Try an operator's cases, print the numbers, and say whether all are right."""
    right, wrong, refused = 0, [], Counter()
    nodes = 0
    for each in islice(MATRICES[op](), None, None, every):
        found = outcome(each)
        nodes += 1
        right += found.right
        wrong += found.wrong
        if found.refused is not None:
            refused[found.refused] += 1
    ran = nodes - refused.total()
    print(f"{op}: {right} of {right + len(wrong)} gradients right, of {ran} nodes", flush=True)
    for reason, count in refused.most_common():
        print(f"  not run by ONNX Runtime ({count} nodes): {reason}")
    for each in wrong[:40]:
        print(f"  wrong: {each}")
    return not wrong


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("operators", nargs="*", default=list(MATRICES))
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    results = [tried(op, given.every) for op in given.operators]
    sys.exit(not all(results))
