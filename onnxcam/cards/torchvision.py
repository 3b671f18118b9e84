"""The presets of torchvision's weights as JSON: `resize_size`, `crop_size`, `mean`, `std`,
`interpolation`, `antialias`, under the names that `weights.transforms()` shows them."""

from __future__ import annotations

from collections.abc import Mapping

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.resizing import PILLOW, Resizing, cropped, kept, stretched, stretched_and_cropped

FILES = ("preprocess.json", "transforms.json")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_FILTERS = PILLOW | {f"interpolationmode.{name}": how for name, how in PILLOW.items()}


def settings(document: Document) -> Settings | None:
    """From a file that says to what it resizes, as those of other formats do not."""
    if "resize_size" not in document and not {"crop_size", "interpolation"} <= _given(document):
        return None
    how = _resizing(document)
    smooth = document.one_of("interpolation", _FILTERS, "bilinear")
    if not document.flag("antialias", True):
        smooth = smooth.removeprefix("pil-")
    fields = how.fields | {
        "interpolation": smooth,
        "mean": document.values("mean", IMAGENET_MEAN),
        "std": document.values("std", IMAGENET_STD),
    }
    return Settings(document.preprocess(fields), how.assumed)


def names(document: Document) -> list[str] | None:
    """The `categories` of a weights entry's metadata, where they were saved along."""
    listed = document.get("categories") or document.get("meta", {})
    if isinstance(listed, Mapping):
        listed = listed.get("categories")
    return [str(name) for name in listed] if isinstance(listed, list) else None


def _given(document: Document) -> set[str]:
    return {key for key in document.content if key in document}


def _resizing(document: Document) -> Resizing:
    """One length is that of the shorter side, two are height and width."""
    crop = document.lengths("crop_size") if "crop_size" in document else None
    if "resize_size" not in document:
        told = ("a centre crop without resizing, stretched whole instead",)
        return Resizing(stretched(crop).fields, told)
    value = document.get("resize_size")
    if isinstance(value, list) and len(value) == 2:
        size = document.lengths("resize_size")
        return stretched_and_cropped(size, crop) if crop else stretched(size)
    shorter = document.length("resize_size")
    return cropped(shorter, crop) if crop else kept(shorter)
