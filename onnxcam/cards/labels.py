"""Lists of class names: what is given, and what files hold."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxcam.cards.imagenet import IMAGENET, imagenet_names
from onnxcam.errors import PreprocessError

LabelSpec = str | os.PathLike[str] | Sequence[str] | None


def given_names(labels: str | os.PathLike[str] | Sequence[str], classes: int | None) -> list[str]:
    """Names from a list, a text file of one a line, a JSON file (a list, or index to name), or
    ImageNet's by its name, as many as a model of so many `classes` tells apart."""
    if not isinstance(labels, str | os.PathLike):
        return [str(label) for label in labels]
    if labels == IMAGENET:
        return imagenet_names(classes) or imagenet_names(1000)
    path = Path(labels)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PreprocessError(f"{path}: labels cannot be read ({error})") from None
    if path.suffix.lower() != ".json":
        names = [line.strip() for line in text.splitlines()]
    else:
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise PreprocessError(f"{path}: not readable as JSON ({error})") from None
        if isinstance(content, dict):
            content = content.get("labels", content)
        names = listed_names(content, str(path))
    if not any(names):
        raise PreprocessError(f"{path}: holds no labels")
    return names


def listed_names(content: Any, name: str) -> list[str]:
    """Names in class order from a list, or from an object of index to name."""
    if isinstance(content, list):
        return [str(label) for label in content]
    if isinstance(content, dict) and all(str(key).isdecimal() for key in content):
        by_index = {int(key): str(label) for key, label in content.items()}
        return [by_index.get(index, "") for index in range(max(by_index, default=-1) + 1)]
    raise PreprocessError(
        f"{name}: labels must be a JSON list, or an object of index to name; "
        f"--labels gives other ones"
    )
