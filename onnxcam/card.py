"""What travels with a model: its preprocessing and its labels.

Looked for in the model's `metadata_props`, then in a JSON file of the same name beside it.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from onnxcam.errors import PreprocessError, TargetError, nearest
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput
from onnxcam.preprocess import PRESETS, Preprocess, find_preprocess, from_mapping, read_json

PREPROCESS_KEY = "onnxcam.preprocess"
LABELS_KEY = "onnxcam.labels"
YOLO_KEY = "names"
"""Where Ultralytics writes the classes of its models, as a Python dict of number to name."""

PreprocessSpec = str | os.PathLike[str] | dict[str, Any] | Preprocess | None
LabelSpec = str | os.PathLike[str] | Sequence[str] | None


@dataclass(frozen=True)
class Card:
    """Preprocessing and labels of a model; `assumed` says in words what was only guessed."""

    preprocess: Preprocess
    labels: tuple[str, ...] | None
    assumed: tuple[str, ...] = ()

    def label(self, index: int) -> str | None:
        """Name of a class, or None when the model's classes have no names."""
        if self.labels is None or not 0 <= index < len(self.labels):
            return None
        return self.labels[index]

    def index(self, label: str) -> int:
        """Number of the class of that name, case ignored; `TargetError` with the nearest ones."""
        if self.labels is None:
            raise TargetError(
                f"no label '{label}': the model carries no labels; give the class by number, or "
                f"the names with --labels"
            )
        lowered = [known.lower() for known in self.labels]
        if label.lower() in lowered:
            return lowered.index(label.lower())
        # ImageNet's names are lists of synonyms: "tabby, tabby cat".
        for index, known in enumerate(lowered):
            if label.lower() in (name.strip() for name in known.split(",")):
                return index
        near = nearest(label, self.labels) or "; a class number will do as well"
        raise TargetError(f"no label '{label}'{near}")


def find_card(
    model: str | os.PathLike[str] | onnx.ModelProto,
    network: Network,
    image: ImageInput,
    preprocess: PreprocessSpec = None,
    labels: LabelSpec = None,
) -> Card:
    """What was given wins, then what is in the file, then what lies beside it, then a guess."""
    inside = {entry.key: entry.value for entry in network.proto.metadata_props}
    beside, name = _beside(model)
    assumed: list[str] = []
    if preprocess is not None:
        chosen = find_preprocess(preprocess)
    elif PREPROCESS_KEY in inside:
        chosen = from_mapping(_parsed(inside, PREPROCESS_KEY), f"metadata {PREPROCESS_KEY}")
    elif "preprocess" in beside:
        chosen = from_mapping(beside["preprocess"], name)
    else:
        yolo = ("0-1", "as Ultralytics trains") if _yolo_names(inside.get(YOLO_KEY, "")) else None
        preset, why = yolo or _guess(network, image)
        chosen = PRESETS[preset]
        assumed.append(f"preprocessing '{preset}' ({why}; --preprocess says otherwise)")
    if image.is_picture and None in image.size and chosen.size is None:
        size = chosen.input_size(image)
        assumed.append(f"input size {size[0]}x{size[1]} (the model leaves it open)")
    if labels is not None:
        names = _given_labels(labels)
    elif LABELS_KEY in inside:
        names = _names(_parsed(inside, LABELS_KEY), f"metadata {LABELS_KEY}")
    elif "labels" in beside:
        names = _names(beside["labels"], name)
    else:
        names = _yolo_names(inside.get(YOLO_KEY, ""))
    return Card(chosen, tuple(names) or None, tuple(assumed))


def _beside(model: str | os.PathLike[str] | onnx.ModelProto) -> tuple[dict[str, Any], str]:
    if isinstance(model, onnx.ModelProto):
        return {}, ""
    path = Path(model).with_suffix(".json")
    return (read_json(path), str(path)) if path.is_file() else ({}, "")


def _parsed(inside: dict[str, str], key: str) -> Any:
    try:
        return json.loads(inside[key])
    except ValueError as error:  # no JSON, or no UTF-8
        raise PreprocessError(f"the model's metadata '{key}' is no JSON ({error})") from None


def _given_labels(labels: LabelSpec) -> list[str]:
    """Labels from a list, a text file of one a line, or a JSON file (a list, or index to name)."""
    if labels is None or not isinstance(labels, str | os.PathLike):
        return [str(label) for label in labels or []]
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
        names = _names(content, str(path))
    if not any(names):
        raise PreprocessError(f"{path}: holds no labels")
    return names


def _names(content: Any, name: str) -> list[str]:
    """Labels in class order from JSON: a list, or an object of index to name."""
    if isinstance(content, list):
        return [str(label) for label in content]
    if isinstance(content, dict) and all(key.isdecimal() for key in content):
        by_index = {int(key): str(label) for key, label in content.items()}
        return [by_index.get(index, "") for index in range(max(by_index, default=-1) + 1)]
    raise PreprocessError(f"{name}: labels must be a JSON list, or an object of index to name")


def _yolo_names(text: str) -> list[str]:
    """Labels in class order from a Python dict of number to name; none from anything else."""
    try:
        content = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if not isinstance(content, dict) or not all(isinstance(key, int) for key in content):
        return []
    if sorted(content) != list(range(len(content))):
        return []
    return [str(content[index]) for index in range(len(content))]


def _guess(network: Network, image: ImageInput) -> tuple[str, str]:
    """A preset and why: a model that begins with arithmetic on its input normalises by itself."""
    tensor = network.tensors[image.name]
    first = tensor.outputs[0] if tensor.outputs else None
    while first is not None and first.op in ("Identity", "Cast", "Transpose", "Reshape"):
        consumers = first.outputs[0].outputs
        first = consumers[0] if consumers else None
    if image.dtype.kind == "u" or (first is not None and first.op in ("Sub", "Mul", "Div")):
        return "raw", "the model normalises by itself"
    if image.channels != 3:
        return "0-1", "one channel" if image.channels == 1 else f"{image.channels} channels"
    if image.channels_last:
        return "tf", "channels last, as Keras exports"
    return "imagenet", "channels first, as PyTorch and Paddle export"
