"""PaddleDetection's operators: sizes are (height, width), pictures RGB."""

from __future__ import annotations

from onnxcam.cards.document import Document
from onnxcam.cards.paddle_steps import Operator, Plan, nothing
from onnxcam.cards.resizing import OPENCV, OPENCV_CODES

_PLACES = {0: "corner", 1: "center"}


def resize(plan: Plan, settings: Document) -> None:
    """`Resize`: to `target_size`, or in proportion so that neither side is beyond it."""
    size = settings.lengths("target_size")
    filters = OPENCV | OPENCV_CODES
    plan.fields["interpolation"] = settings.one_of("interp", filters, 1)
    if not settings.flag("keep_ratio", True):
        plan.size = size
    elif size[0] == size[1]:
        plan.pad = size
    else:
        plan.shorter = min(size)


def letterbox(plan: Plan, settings: Document) -> None:
    """`LetterBoxResize`: into the middle, grey around it."""
    plan.pad, plan.pad_at, plan.pad_value = settings.lengths("target_size"), "center", 127.5
    plan.fields["interpolation"] = "area"


def normalise(plan: Plan, settings: Document) -> None:
    """`NormalizeImage`: by 255 where `is_scale`, then by mean and deviation unless "none"."""
    scale = 1 / 255 if settings.flag("is_scale", True) else 1.0
    mean, std = (0.0,), (1.0,)
    if settings.get("norm_type", "mean_std") == "mean_std":
        mean, std = settings.values("mean"), settings.values("std")  # type: ignore[assignment]
    plan.normalise(scale, mean, std)


def pad(plan: Plan, settings: Document) -> None:
    """`Pad`: up to `size`, with the first channel's filling before or behind normalisation."""
    if "size" in settings:
        plan.pad = settings.lengths("size")
    plan.pad_at = settings.one_of("pad_mode", _PLACES, 0)
    if "mean" not in plan.fields:
        plan.pad_value = settings.values("fill_value", 127.5)[0]


def stride(plan: Plan, settings: Document) -> None:
    """`PadStride`: up to a multiple of the stride, where there is one."""
    if settings.get("stride", 0):
        plan.stride = settings.length("stride")


OPERATORS: dict[str, Operator] = {
    "LetterBoxResize": letterbox,
    "NormalizeImage": normalise,
    "Pad": pad,
    "PadStride": stride,
    "Permute": nothing,
    "Resize": resize,
}
