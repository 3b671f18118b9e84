"""What Ultralytics writes into its files: `names`, `task`, `imgsz`, `description`, `author`.

Its detectors letterbox (centre, grey 114, OpenCV's linear), RT-DETR stretches, and its
classifiers crop the centre with Pillow; all take RGB in [0, 1].
"""

from __future__ import annotations

import ast
from typing import Any

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.resizing import Resizing, cropped, padded, stretched

FILES: tuple[str, ...] = ()

GREY = 114.0
"""Pixel value of the letterbox."""

DEFAULT_SIZE = 640


def settings(document: Document) -> Settings | None:
    """From metadata; said as assumed where nothing but the form of the names speaks for it."""
    signed = "ultralytics" in f"{document.get('author')} {document.get('description')}".lower()
    if not signed and not names(document):
        return None
    told = "preprocessing '0-1' (as Ultralytics trains; --preprocess says otherwise)"
    found = document.preprocess(_resizing(document).fields)
    return Settings(found, () if signed else (told,))


def names(document: Document) -> list[str] | None:
    """From a Python dict of number to name without gaps; none from anything else."""
    content = _literal(document.get("names"))
    if not isinstance(content, dict) or not all(isinstance(key, int) for key in content):
        return None
    if sorted(content) != list(range(len(content))):
        return None
    return [str(content[index]) for index in range(len(content))] or None


def _resizing(document: Document) -> Resizing:
    size = _size(document)
    if document.get("task") == "classify":
        how = cropped(min(size), size)
        return Resizing(how.fields | {"interpolation": "pil-linear"})
    model = str(document.get("description", "")).lower()
    how = stretched(size) if "rtdetr" in model else padded(size, "center", GREY)
    return Resizing(how.fields | {"interpolation": "linear"})


def _size(document: Document) -> tuple[int, int]:
    """`imgsz`, height and width, as text in metadata."""
    square = 224 if document.get("task") == "classify" else DEFAULT_SIZE
    read = Document(document.name, {"imgsz": _literal(document.get("imgsz", square))})
    return read.lengths("imgsz")


def _literal(value: Any) -> Any:
    """A value of Python's, which Ultralytics writes as text; the text where it is none."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
