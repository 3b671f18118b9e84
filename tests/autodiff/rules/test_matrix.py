"""A part of the matrix of windows; scripts/matrix.py goes through the whole of it."""

from itertools import islice

import pytest
from autodiff.matrix import MATRICES, outcome

SHARES = {"Conv": 127, "ConvTranspose": 631, "MaxPool": 47, "AveragePool": 107}
"""One in so many: prime, so that every value of every axis is met."""
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("op", SHARES)
def test_gradients_of_windows(op: str, part: int) -> None:
    nodes = islice(MATRICES[op](), part * SHARES[op], None, PARTS * SHARES[op])
    found = [outcome(each) for each in nodes]
    assert [each for of_one in found for each in of_one.wrong] == []
    assert sum(of_one.right for of_one in found) >= 20
