"""timm's `config.json`: `architecture`, and under `pretrained_cfg` how pictures are fed.

The keys are those of timm's data configuration, and mean what its evaluation transform does with
them; older files keep them at the top.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.resizing import (
    PILLOW,
    Resizing,
    cropped,
    padded,
    stretched_and_cropped,
)
from onnxcam.cards.torchvision import IMAGENET_MEAN, IMAGENET_STD

FILES = ("config.json",)

DEFAULT_CROP = 0.875

_MODES = {mode: mode for mode in ("center", "squash", "border")}


def settings(document: Document) -> Settings | None:
    """From `pretrained_cfg`, or from the top of an older file."""
    config = _config(document)
    if config is None:
        return None
    how = _resizing(config)
    fields = how.fields | {
        "interpolation": config.one_of("interpolation", PILLOW, "bicubic"),
        "mean": config.values("mean", IMAGENET_MEAN),
        "std": config.values("std", IMAGENET_STD),
    }
    return Settings(config.preprocess(fields), how.assumed)


def names(document: Document) -> list[str] | None:
    """`label_names`, in the words of `label_descriptions` where it has them."""
    if not isinstance(document.get("pretrained_cfg", {}), Mapping):
        return None
    config = _config(document)
    if config is None:
        return None
    holder = config if "label_names" in config else document
    listed = holder.get("label_names", config.get("labels"))
    if not isinstance(listed, list):
        return None
    words = holder.get("label_descriptions", {})
    described = words if isinstance(words, dict) else {}
    return [str(described.get(name, name)) for name in listed]


def _config(document: Document) -> Document | None:
    if "pretrained_cfg" in document:
        return document.part("pretrained_cfg")
    old = "architecture" in document and ("crop_pct" in document or "input_size" in document)
    return document if old else None


def _resizing(config: Document) -> Resizing:
    """The centre of what is larger by 1 / `crop_pct`, rounded down: scaled by the shorter side
    ("center"), by each ("squash"), or by the longer one and filled up ("border")."""
    size = _size(config)
    part = config.share("crop_pct", DEFAULT_CROP)
    mode = config.one_of("crop_mode", _MODES, "center")
    larger = (floor(size[0] / part), floor(size[1] / part))
    if mode == "center":
        return cropped(min(larger), size)
    if mode == "squash":
        return stretched_and_cropped(larger, size)
    # timm fills with the mean, rounded to a grey level: 0 once it is normalised.
    told = () if larger == size else (f"the margin beyond {part:g} of the picture is kept",)
    return Resizing(padded(size, "center").fields, told)


def _size(config: Document) -> tuple[int, int]:
    value = config.get("input_size", [3, 224, 224])
    if not isinstance(value, list) or len(value) != 3:
        raise config.wrong("input_size", f"must be channels, height and width, not {value!r}")
    return Document(config.name, {"input_size": value[1:]}).lengths("input_size")
