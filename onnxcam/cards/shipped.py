"""What lies in a model's file and beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from onnxcam.cards.document import Document
from onnxcam.errors import PreprocessError, one_line
from onnxcam.preprocess import read_json

EXPORTS = "onnx"
"""The folder in which Hugging Face keeps exported models, below their settings."""


class Shipped:
    """The documents that came with a model; files are read when they are asked for, and once."""

    def __init__(
        self, model: str | os.PathLike[str] | onnx.ModelProto, proto: onnx.ModelProto
    ) -> None:
        entries = {entry.key: entry.value for entry in proto.metadata_props}
        self.path = None if isinstance(model, onnx.ModelProto) else Path(model)
        self.folder = self.path.parent if self.path is not None else None
        self.metadata = Document("the model's metadata", entries, self.folder)
        self._read = cache(read_document)

    @property
    def sidecar(self) -> Iterator[Document]:
        """`model.json` beside `model.onnx`."""
        if self.path is not None:
            yield from self._existing(self.path.with_suffix(".json"))

    def beside(self, names: tuple[str, ...]) -> Iterator[Document]:
        """Files of these names in the model's folder, then in the one above a folder of exports."""
        if self.folder is None:
            return
        folder = Path(os.path.abspath(self.folder))
        above = [folder.parent] if folder.name == EXPORTS else []
        for place in (self.folder, *above):
            for name in names:
                yield from self._existing(place / name)

    def _existing(self, path: Path) -> Iterator[Document]:
        if path.is_file():
            try:
                yield self._read(path)
            except PreprocessError as error:
                raise PreprocessError(
                    f"{error}; mend it, or say with --preprocess and --labels what it should"
                ) from None


def read_document(path: Path) -> Document:
    """A JSON or YAML file that holds an object; `PreprocessError` when it holds none."""
    content = _read_yaml(path) if path.suffix.lower() in (".yml", ".yaml") else read_json(path)
    return Document(str(path), content, path.parent)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise PreprocessError(
            f"{path}: YAML needs PyYAML; pip install pyyaml, or say with --preprocess and --labels "
            f"what it holds"
        ) from None
    try:
        content = yaml.load(
            path.read_text(encoding="utf-8-sig"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise PreprocessError(f"{path}: not readable as YAML ({one_line(error)})") from None
    if not isinstance(content, dict):
        raise PreprocessError(f"{path}: holds no YAML mapping")
    return content
