"""The names of ImageNet's 1000 classes, which most published classifiers tell apart."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

IMAGENET = "imagenet"
"""What --labels calls them."""


def imagenet_names(classes: int | None) -> list[str]:
    """Names for 1000 classes, or for 1001 whose first is the background; none for others."""
    if classes == 1001:
        return ["background", *_thousand()]
    return list(_thousand()) if classes == 1000 else []


@cache
def _thousand() -> tuple[str, ...]:
    text = files("onnxcam.cards").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))
