"""What onnxcam itself writes into a model, or into `model.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.labels import listed_names
from onnxcam.errors import PreprocessError
from onnxcam.preprocess import from_mapping

FILES: tuple[str, ...] = ()

PREPROCESS_KEY = "onnxcam.preprocess"
LABELS_KEY = "onnxcam.labels"


def settings(document: Document) -> Settings | None:
    """From metadata `onnxcam.preprocess`, or from `preprocess` in a file."""
    if PREPROCESS_KEY in document:
        content = _parsed(document.get(PREPROCESS_KEY), PREPROCESS_KEY)
        return fields(content, f"metadata {PREPROCESS_KEY}")
    if "preprocess" in document:
        return fields(document.get("preprocess"), document.name)
    return None


def names(document: Document) -> list[str] | None:
    """From metadata `onnxcam.labels`, or from `labels` in a file."""
    if LABELS_KEY in document:
        return listed_names(_parsed(document.get(LABELS_KEY), LABELS_KEY), f"metadata {LABELS_KEY}")
    if "labels" in document:
        return listed_names(document.get("labels"), document.name)
    return None


def fields(content: Any, name: str) -> Settings:
    """From the fields of `Preprocess` by name; YAML may have read a name as a number."""
    if isinstance(content, Mapping):
        content = {str(key): value for key, value in content.items()}
    return Settings(from_mapping(content, name))


def _parsed(text: str, key: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:  # no text, no JSON, or no UTF-8
        raise PreprocessError(f"the model's metadata '{key}' is no JSON ({error})") from None
