"""Boxes in words, as `--target box:...` takes them.

box, box:0, box:1        the best detection, the second best
box:person, box:person:1 the best of a class, the second best of it
box:3:0                  the best of class 3
box:120,40,300,200       the detection that overlaps x1,y1,x2,y2, in the picture's pixels
.../x1                   not its score but its left side; y1, x2, y2, width, height, area
"""

from __future__ import annotations

from onnxcam.errors import TargetError
from onnxcam.graph.named_layers import as_number
from onnxcam.targets.boxes.box import PLACES, Box


def parse_box(text: str) -> Box:
    """What stands behind `box:` as a target; a label may hold any character.

    Raises `TargetError` for a box that is none.
    """
    name, slash, what = text.rpartition("/")
    if slash and what in PLACES:
        return _of(name, what)
    return _of(text, "score")


def _of(text: str, what: str) -> Box:
    rank = as_number(text or "0")
    if rank is not None:
        return Box(rank=rank, what=what)
    corners = _corners(text)
    if corners is not None:
        return Box(at=corners, what=what)
    name, colon, last = text.rpartition(":")
    rank = as_number(last) if colon else None
    if rank is None:
        return Box(text, what=what)
    number = as_number(name)
    return Box(name if number is None else number, rank, what=what)


def _corners(text: str) -> tuple[float, float, float, float] | None:
    """Four numbers, or None; fewer or more are an error, for no label is numbers only."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(numbers) != 4:
        raise TargetError(f"'box:{text}': a box is x1,y1,x2,y2 in the picture's pixels")
    x1, y1, x2, y2 = numbers
    return x1, y1, x2, y2
