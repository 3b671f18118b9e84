"""Which axes of a tensor are which on the other side of a reshape."""

from __future__ import annotations

from onnxcam.graph.dims import Shape

Run = tuple[list[int], list[int]]


def matching_axes(x: Shape, y: Shape) -> list[Run]:
    """Smallest runs of axes of x and of y that hold equally many elements, in order.

    `[8, 6, 4]` and `[8, 24]` match as `[([0], [0]), ([1, 2], [1])]`. An axis whose length is no
    number matches the axis with the same symbol; where that fails, everything left is one run.
    """
    runs: list[Run] = []
    i = j = 0
    while i < len(x) or j < len(y):
        if i < len(x) and j < len(y) and x[i] == y[j] and x[i] is not None:
            runs.append(([i], [j]))
            i, j = i + 1, j + 1
            continue
        end = _end_of_run(x, y, i, j)
        if end is None:
            runs.append((list(range(i, len(x))), list(range(j, len(y)))))
            break
        runs.append((list(range(i, end[0])), list(range(j, end[1]))))
        i, j = end
    return runs


def _end_of_run(x: Shape, y: Shape, i: int, j: int) -> tuple[int, int] | None:
    """Where the run that starts at axes i and j ends, or None if only at the very end."""
    if i == len(x) or j == len(y):
        return (len(x), len(y))
    size_x = size_y = 1
    first = True
    while first or size_x != size_y:
        first = False
        if size_x <= size_y and i < len(x):
            dim, i = x[i], i + 1
            if not isinstance(dim, int):
                return None
            size_x *= dim
        elif j < len(y):
            dim, j = y[j], j + 1
            if not isinstance(dim, int):
                return None
            size_y *= dim
        else:
            return None
    return (i, j)
