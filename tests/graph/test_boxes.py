"""Parts of tensors: joined, and followed through reshapes."""

from __future__ import annotations

import numpy as np
import pytest

from onnxcam.graph.boxes import WHOLE, Box, before_reshape, box, holds, joined, share
from onnxcam.graph.dims import Shape


def part_of(values: np.ndarray, part: Box) -> np.ndarray:
    for axis, rows in part.items():
        values = values.take(rows, axis)
    return values


def test_a_box_is_in_order_and_without_axes_of_which_all_is_needed() -> None:
    assert box({0: [2, 0, 2], 1: [1, 0]}, [3, 2]) == {0: (0, 2)}
    assert box({0: [0]}, [1, 4]) == WHOLE


def test_how_much_it_is_of_the_tensor() -> None:
    assert share({0: (0,), 2: (1, 2)}, [4, "n", 8]) == 1 / 16
    assert share(WHOLE, ["n", 2]) == 1


def test_what_lies_in_it() -> None:
    assert holds(WHOLE, {0: (1,)})
    assert holds({0: (1, 2)}, {0: (2,), 1: (0,)})
    assert not holds({0: (1,)}, WHOLE)
    assert not holds({0: (1,)}, {0: (1, 2)})


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([{0: (0,)}, {0: (2,)}], [{0: (0, 2)}]),
        ([{0: (0,)}, WHOLE], [WHOLE]),
        ([{1: tuple(range(4))}, {1: tuple(range(4, 8))}], [WHOLE]),
        # one row of the queries, all keys and all values
        ([{0: (0,), 1: (0,)}, {0: (1,)}, {0: (2,)}], [{0: (0,), 1: (0,)}, {0: (1, 2)}]),
        ([{0: (0,)}, {1: (0,)}], [{0: (0,)}, {1: (0,)}]),
        ([{0: (0, 1)}, {1: tuple(range(4))}], [WHOLE]),  # together more than all of it
    ],
)
def test_boxes_are_joined_where_that_is_hardly_more(parts: list[Box], expected: list[Box]) -> None:
    assert joined(parts, [3, 8]) == expected


@pytest.mark.parametrize(
    ("x", "y", "part", "expected"),
    [
        (["n", 7, 12], ["n", 7, 3, 4], {1: (0,)}, {1: (0,)}),
        (["n", 7, 12], ["n", 7, 3, 4], {2: (1,)}, {2: (4, 5, 6, 7)}),
        (["n", 7, 3, 4], ["n", 7, 12], {1: (2,), 2: (4, 5, 6, 7)}, {1: (2,), 2: (1,)}),
        (["n", 7, 3, 4], ["n", 7, 12], {2: (3, 4)}, None),  # from two heads
        (["n", 2, 7, 4], ["m", 7, 4], {1: (0,)}, {2: (0,)}),  # what is in front is not known
        (["n", 2, 7, 4], ["m", 7, 4], {0: (0,)}, None),
        ([1, "n", 5], ["n", 5], {1: (3,)}, {2: (3,)}),
    ],
)
def test_through_a_reshape(x: Shape, y: Shape, part: Box, expected: Box | None) -> None:
    assert before_reshape(part, x, y) == expected


@pytest.mark.parametrize("seed", range(40))
def test_a_part_reshaped_is_the_part_of_what_was_reshaped(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.choice([1, 2, 3, 4], 5)

    def grouped() -> list[int]:
        cuts = sorted(rng.choice(np.arange(1, 5), rng.integers(1, 4), replace=False))
        return [int(np.prod(group)) for group in np.split(factors, cuts)]

    x, y = grouped(), grouped()
    axis = int(rng.integers(len(y)))
    part = box({axis: rng.choice(y[axis], rng.integers(1, y[axis] + 1))}, [*y])
    values = np.arange(np.prod(x)).reshape(x)
    expected = part_of(values.reshape(y), part)
    before = before_reshape(part, [*x], [*y])
    if before is None:  # then no box is just these
        places = np.unravel_index(expected.ravel(), x)
        assert np.prod([len(np.unique(one)) for one in places]) > expected.size
    else:
        np.testing.assert_array_equal(part_of(values, before).reshape(expected.shape), expected)
