"""Settings by name, from a mapping, or from a JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from onnxcam.errors import PreprocessError, nearest
from onnxcam.preprocess.settings import Preprocess

PRESETS: dict[str, Preprocess] = {
    "imagenet": Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": Preprocess(color="bgr", scale=1.0, mean=(103.939, 116.779, 123.68)),
    "tf": Preprocess(scale=1 / 127.5, mean=1.0),
    "0-1": Preprocess(),
    "raw": Preprocess(scale=1.0),
    "min-max": Preprocess(scale=1.0, window="min-max"),
    "z-score": Preprocess(scale=1.0, window="z-score"),
}
"""Named ways to normalise: torchvision's, VGG's as Keras keeps it, [-1, 1], [0, 1], as it is, and
what was read by its own extremes, or by its own mean and deviation."""


def find_preprocess(spec: str | os.PathLike[str] | Mapping[str, Any] | Preprocess) -> Preprocess:
    """A preset by name, a JSON file, its content as a mapping, or a `Preprocess` as it is.

    Raises `PreprocessError` with the nearest names.
    """
    if isinstance(spec, Preprocess):
        return spec
    if isinstance(spec, Mapping):
        return from_mapping(spec, "the preprocessing given")
    name = os.fspath(spec)
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not os.path.isfile(path):
        raise PreprocessError(
            f"no preset and no file '{name}'{nearest(name, PRESETS)}; presets: {', '.join(PRESETS)}"
        )
    content = read_json(path)
    return from_mapping(content.get("preprocess", content), str(path))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `PreprocessError` when it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows marks its UTF-8
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PreprocessError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(content, dict):
        raise PreprocessError(f"{path}: holds no JSON object")
    return content


def from_mapping(content: Mapping[str, Any], name: str) -> Preprocess:
    """A `Preprocess` from the keys of its fields; `name` is what errors call it."""
    if not isinstance(content, Mapping):
        raise PreprocessError(f"{name}: preprocessing must be a JSON object of settings")
    known = {field.name for field in fields(Preprocess)}
    for key in content:
        if key not in known:
            raise PreprocessError(f"{name}: no setting '{key}'{nearest(key, known)}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        return Preprocess(**values)
    except (PreprocessError, TypeError, ValueError) as error:
        raise PreprocessError(f"{name}: {error}") from None
