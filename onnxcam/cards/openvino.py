"""What OpenVINO's Model API and its Training Extensions write down as `model_info`.

In a model's metadata each entry is a key of its own, "model_info mean_values" say; in JSON they
are one object. Means and scales are of pixels 0..255 in the model's channel order:
x = (pixel - mean_values) / scale_values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.labels import listed_names
from onnxcam.cards.resizing import Resizing, cropped, padded, stretched

FILES: tuple[str, ...] = ()

SECTION = "model_info"

_FED = ("mean_values", "scale_values", "resize_type", "reverse_input_channels", "pad_value")
_TRUE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


def settings(document: Document) -> Settings | None:
    """From the section's settings of an image model."""
    info = _section(document)
    if info is None or not any(key in info for key in (*_FED, "embedded_processing")):
        return None
    if _is_on(info, "embedded_processing"):
        fields = {"scale": 1.0, "color": _taken(info), "interpolation": "linear"}
        return Settings(info.preprocess(fields), ("the model prepares its pictures by itself",))
    how = _resizing(info)
    fields = how.fields | {"scale": 1.0, "color": _color(info), "interpolation": "linear"}
    if "mean_values" in info:
        fields["mean"] = _numbers(info, "mean_values", 0.0)
    if "scale_values" in info:
        fields["std"] = _numbers(info, "scale_values", 1.0)
    return Settings(info.preprocess(fields), how.assumed)


def names(document: Document) -> list[str] | None:
    """The names in `label_info`, else `labels`: names between blanks, with _ for their own."""
    info = _section(document)
    if info is None:
        return None
    listed = _parsed(info.get("label_info"))
    if isinstance(listed, Mapping) and isinstance(listed.get("label_names"), list):
        return listed_names(listed["label_names"], info.name)
    labels = info.get("labels")
    if isinstance(labels, list):
        return listed_names(labels, info.name)
    return [name.replace("_", " ") for name in str(labels or "").split()] or None


def _section(document: Document) -> Document | None:
    whole = _parsed(document.get(SECTION))
    if isinstance(whole, Mapping):
        return Document(f"{document.name}, {SECTION}", whole, document.folder)
    entries = {
        key.split()[1]: value
        for key, value in document.content.items()
        if isinstance(key, str) and key.split()[:1] == [SECTION] and len(key.split()) == 2
    }
    return Document(f"{document.name}, {SECTION}", entries, document.folder) if entries else None


def _resizing(info: Document) -> Resizing:
    """`resize_type` into the model's size; `orig_height` and `orig_width` where that is open."""
    size = None
    if "orig_height" in info and "orig_width" in info:
        height, width = (_numbers(info, key, 0)[0] for key in ("orig_height", "orig_width"))
        size = (int(height), int(width))
    kind = str(info.get("resize_type", "standard"))
    value = _numbers(info, "pad_value", 0.0)[0]
    if kind == "standard":
        return stretched(size)
    if kind == "crop":
        return cropped(min(size), size) if size else Resizing({"resize": "crop"})
    if kind in ("fit_to_window", "fit_to_window_letterbox"):
        place = "center" if kind.endswith("letterbox") else "corner"
        return padded(size, place, value)
    raise info.wrong("resize_type", f"is '{kind}', none that Model API has")


def _taken(info: Document) -> str:
    """Model API takes BGR, as OpenCV reads it; the Training Extensions since their version 2,
    which they write down, take RGB."""
    return "rgb" if "otx_version" in info else "bgr"


def _color(info: Document) -> str:
    """What is taken, or the other way round."""
    taken = _taken(info)
    if not _is_on(info, "reverse_input_channels"):
        return taken
    return "bgr" if taken == "rgb" else "rgb"


def _is_on(info: Document, key: str) -> bool:
    text = str(info.get(key, "")).lower()
    if text not in _TRUE:
        raise info.wrong(key, f"is '{text}', neither True nor False")
    return _TRUE[text]


def _numbers(info: Document, key: str, default: float) -> tuple[float, ...]:
    """Numbers between blanks or commas, in brackets or not."""
    value = info.get(key, default)
    if isinstance(value, str):
        try:
            value = [float(word) for word in value.strip("[]() ").replace(",", " ").split()]
        except ValueError:
            raise info.wrong(key, f"must be numbers, not '{value}'") from None
    return Document(info.name, {key: value or default}).values(key)


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
