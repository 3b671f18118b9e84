"""Dimensions and shapes: numbers where they are known, symbols where they vary."""

from __future__ import annotations

from collections.abc import Sequence

Dim = int | str | None
"""A length, a symbol (equal symbols mean equal lengths), or None when nothing is known."""

Shape = list[Dim]


def broadcast_dim(a: Dim, b: Dim) -> Dim:
    """Dimension that two dimensions broadcast to; a number outweighs a symbol."""
    if a == 1 or a == b:
        return b
    if b == 1 or b is None:
        return a
    return b if a is None or isinstance(b, int) else a


def broadcast(*shapes: Sequence[Dim]) -> Shape:
    """Shape that shapes broadcast to, by NumPy's rule."""
    result: Shape = []
    for shape in shapes:
        rank = max(len(result), len(shape))
        left: Shape = [*[1] * (rank - len(result)), *result]
        right: Shape = [*[1] * (rank - len(shape)), *shape]
        result = [broadcast_dim(a, b) for a, b in zip(left, right, strict=True)]
    return result


def is_static(shape: Shape | None) -> bool:
    """Whether all dimensions are numbers."""
    return shape is not None and all(isinstance(dim, int) for dim in shape)
