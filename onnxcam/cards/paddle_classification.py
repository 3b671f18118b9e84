"""PaddleClas' operators, and those of PaddleOCR: sizes are (width, height) there."""

from __future__ import annotations

from onnxcam.cards.document import Document
from onnxcam.cards.paddle_steps import Operator, Plan, fraction, nothing
from onnxcam.cards.resizing import OPENCV, PILLOW
from onnxcam.cards.torchvision import IMAGENET_MEAN, IMAGENET_STD


def decode(plan: Plan, settings: Document) -> None:
    """`DecodeImage`, which may leave the channels as OpenCV reads them."""
    blue_first = str(settings.get("img_mode", "")).upper() == "BGR"
    if blue_first or not settings.flag("to_rgb", True):
        plan.fields["color"] = "bgr"


def resize(plan: Plan, settings: Document) -> None:
    """`ResizeImage`: the shorter side to `resize_short`, or all of it to `size`."""
    if "resize_short" in settings:
        plan.shorter = settings.length("resize_short")
    else:
        plan.size = _size(settings)
    filters = PILLOW if settings.get("backend") == "pil" else OPENCV
    plan.fields["interpolation"] = settings.one_of("interpolation", filters, "bilinear")


def crop(plan: Plan, settings: Document) -> None:
    """`CropImage`: the centre."""
    plan.crop = _size(settings)


def normalise(plan: Plan, settings: Document) -> None:
    """`NormalizeImage`; its `order` is only how the numbers lie in memory."""
    plan.normalise(
        fraction(settings, "scale", 1 / 255),
        settings.values("mean", IMAGENET_MEAN),
        settings.values("std", IMAGENET_STD),
    )


def text_line(plan: Plan, settings: Document) -> None:
    """`RecResizeImg`, `ClsResizeImg`: a line of text to its height, on the left; [-1, 1]."""
    shape = settings.get("image_shape")
    if not isinstance(shape, list) or len(shape) != 3:
        raise settings.wrong("image_shape", f"must be channels, height and width, not {shape!r}")
    height, width = Document(settings.name, {"image_shape": shape[1:]}).lengths("image_shape")
    plan.pad = (height, width)
    plan.normalise(1 / 255, (0.5,), (0.5,))


def text_page(plan: Plan, settings: Document) -> None:
    """`DetResizeForTest`: in proportion, to a multiple of 32."""
    plan.stride = 32
    long, short = "resize_long" in settings, "limit_side_len" in settings
    key = "resize_long" if long else "limit_side_len"
    plan.shorter = settings.length(key) if long or short else 736


def _size(settings: Document) -> tuple[int, int]:
    width, height = settings.lengths("size")
    return height, width


OPERATORS: dict[str, Operator] = {
    "DecodeImage": decode,
    "ResizeImage": resize,
    "CropImage": crop,
    "NormalizeImage": normalise,
    "RecResizeImg": text_line,
    "ClsResizeImg": text_line,
    "DetResizeForTest": text_page,
    "DetLabelEncode": nothing,
    "CTCLabelEncode": nothing,
    "KeepKeys": nothing,
    "MultiLabelEncode": nothing,
    "ToCHWImage": nothing,
}
