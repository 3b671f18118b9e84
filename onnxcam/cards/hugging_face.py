"""Hugging Face's `preprocessor_config.json`, and the names in its `config.json`.

What a key means, and what holds where it is left out, is as in the image processors of
transformers; files of older versions, with a plain number for `size`, are read as they meant it.
"""

from __future__ import annotations

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.labels import listed_names
from onnxcam.cards.resizing import (
    PILLOW,
    PILLOW_CODES,
    Resizing,
    cropped,
    kept,
    padded,
    stretched,
    stretched_and_cropped,
)

FILES = ("preprocessor_config.json", "config.json")

_PROCESSOR = ("image_processor_type", "image_mean", "do_resize")

_BY_THE_SHORTER_SIDE = frozenset(
    [
        "Bit",
        "CLIP",
        "ChineseCLIP",
        "ConditionalDetr",
        "ConvNext",
        "DeformableDetr",
        "Deta",
        "Detr",
        "EfficientFormer",
        "Levit",
        "Mask2Former",
        "MaskFormer",
        "MobileNetV1",
        "MobileNetV2",
        "MobileViT",
        "OneFormer",
        "PoolFormer",
        "VideoMAE",
        "Yolos",
    ]
)
"""Processors for which a plain number is the shorter side; for the others it is a square."""

_BICUBIC = ("Beit", "Bit", "CLIP", "ChineseCLIP", "DeiT", "EfficientFormer", "Levit", "PoolFormer")

_LARGER = {"ConvNext": 224 / 256, "Levit": 224 / 256, "PoolFormer": 0.9}
"""Processors that scale to more than they say, over `crop_pct`, whose default this is."""

_CONVNEXT_STRETCHES_FROM = 384


def settings(document: Document) -> Settings | None:
    """From the settings of an image processor; None of one for sound or text."""
    if "sampling_rate" in document or not any(key in document for key in _PROCESSOR):
        return None
    kind = _kind(document)
    how = _resizing(document, kind)
    fields = how.fields | _normalisation(document, kind)
    if document.flag("do_flip_channel_order", kind == "MobileViT"):
        fields["color"] = "bgr"
    if document.flag("do_resize", True):
        filters = PILLOW | PILLOW_CODES
        default = {"EfficientNet": 0}.get(kind, 3 if kind in _BICUBIC else 2)
        fields["interpolation"] = document.one_of("resample", filters, default)
    return Settings(document.preprocess(fields), how.assumed)


def names(document: Document) -> list[str] | None:
    """`id2label`, unless they are the placeholders LABEL_0, LABEL_1, ..."""
    if "id2label" not in document:
        return None
    listed = listed_names(document.get("id2label"), f"{document.name}, id2label")
    told = any(name != f"LABEL_{index}" for index, name in enumerate(listed))
    return listed if told else None


def _kind(document: Document) -> str:
    """The processor's name without what all of them end in."""
    kind = str(document.get("image_processor_type", document.get("feature_extractor_type", "")))
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        kind = kind.removesuffix(ending)
    return kind


def _normalisation(document: Document, kind: str) -> dict[str, object]:
    """(pixel * rescale_factor - image_mean) / image_std, each step where it is switched on."""
    scales = document.flag("do_rescale", True)
    scale = document.number("rescale_factor", 1 / 255) if scales else 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    if document.flag("do_normalize", kind != "MobileViT"):
        mean, std = document.values("image_mean"), document.values("image_std")
    if document.flag("rescale_offset", False):  # to [-1, 1] before the mean is taken off
        mean = tuple(value + 1 for value in mean)
    if kind == "EfficientNet" and document.flag("include_top", True):  # divided a second time
        std = tuple(value**2 for value in std)
    return {"scale": scale, "mean": mean, "std": std}


def _resizing(document: Document, kind: str) -> Resizing:
    crop = None
    if document.flag("do_center_crop", False):
        crop = _box(document, "crop_size")
    if not document.flag("do_resize", True):
        told = ("pictures are taken in their own size, here stretched to the model's",)
        return Resizing(stretched(crop).fields, told)
    if "size" not in document:
        return stretched(crop)
    if not isinstance(document.get("size"), dict):
        return _of_plain_size(document, kind, crop)
    size = document.part("size")
    if "height" in size and "width" in size:
        whole = _box(document, "size")
        return stretched_and_cropped(whole, crop) if crop else stretched(whole)
    if "shortest_edge" in size:
        return _by_shorter(document, kind, size.length("shortest_edge"), crop)
    if "longest_edge" in size:
        longest = size.length("longest_edge")
        return padded(_pad_size(document, (longest, longest)))
    if "max_height" in size and "max_width" in size:
        own = (size.length("max_height"), size.length("max_width"))
        return padded(_pad_size(document, own))
    held = ", ".join(str(key) for key in size.content) or "nothing"
    raise document.wrong("size", f"holds {held}, no known lengths")


def _of_plain_size(document: Document, kind: str, crop: tuple[int, int] | None) -> Resizing:
    """Files before there were names for lengths: a number, or width and height."""
    width, height = document.lengths("size")
    square = document.flag("default_to_square", kind not in _BY_THE_SHORTER_SIDE)
    if isinstance(document.get("size"), list) or square:
        whole = (height, width)
        return stretched_and_cropped(whole, crop) if crop else stretched(whole)
    return _by_shorter(document, kind, width, crop)


def _by_shorter(
    document: Document, kind: str, shorter: int, crop: tuple[int, int] | None
) -> Resizing:
    if kind == "ConvNext":
        crop = (shorter, shorter)
        if shorter >= _CONVNEXT_STRETCHES_FROM:
            return stretched(crop)
    if kind in _LARGER:
        shorter = int(shorter / document.share("crop_pct", _LARGER[kind]))
    if crop:
        return cropped(shorter, crop)
    if "pad_size" in document:
        return padded(_pad_size(document, (shorter, shorter)))
    return kept(shorter)


def _pad_size(document: Document, otherwise: tuple[int, int]) -> tuple[int, int]:
    if "pad_size" not in document:
        return otherwise
    return _box(document, "pad_size")


def _box(document: Document, key: str) -> tuple[int, int]:
    """(height, width) from an object of the two, of a `shortest_edge`, or from a number."""
    if not isinstance(document.get(key), dict):
        return document.lengths(key)
    box = document.part(key)
    if "shortest_edge" in box:
        return box.lengths("shortest_edge")
    return box.length("height"), box.length("width")
