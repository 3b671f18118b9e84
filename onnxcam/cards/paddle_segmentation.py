"""PaddleSeg's operators: sizes are (width, height), pictures RGB."""

from __future__ import annotations

from onnxcam.cards.document import Document
from onnxcam.cards.paddle_steps import Operator, Plan, nothing
from onnxcam.cards.resizing import OPENCV


def resize(plan: Plan, settings: Document) -> None:
    """`Resize`: to `target_size`, or in proportion into it."""
    width, height = settings.lengths("target_size") if "target_size" in settings else (512, 512)
    if settings.flag("keep_ratio", False):
        plan.pad = (height, width)
    else:
        plan.size = (height, width)
    plan.fields["interpolation"] = settings.one_of("interp", OPENCV, "linear")


def by_short(plan: Plan, settings: Document) -> None:
    """`ResizeByShort`."""
    plan.shorter = settings.length("short_size")


def by_long(plan: Plan, settings: Document) -> None:
    """`ResizeByLong`, `LimitLong`: the longer side to a length, or not beyond it."""
    key = "long_size" if "long_size" in settings else "max_long"
    plan.pad = settings.lengths(key)


def pad(plan: Plan, settings: Document) -> None:
    """`Padding`: up to `target_size`, on the right and at the bottom."""
    width, height = settings.lengths("target_size")
    plan.pad = (height, width)
    if "mean" not in plan.fields:
        plan.pad_value = settings.values("im_padding_value", 127.5)[0]


def normalise(plan: Plan, settings: Document) -> None:
    """`Normalize`: pixels in [0, 1] by mean and deviation."""
    plan.normalise(1 / 255, settings.values("mean", 0.5), settings.values("std", 0.5))


OPERATORS: dict[str, Operator] = {
    "LimitLong": by_long,
    "LoadImage": nothing,
    "Normalize": normalise,
    "Padding": pad,
    "Resize": resize,
    "ResizeByLong": by_long,
    "ResizeByShort": by_short,
}
