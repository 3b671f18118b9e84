"""Writing a model, with weights beyond what one file can hold in a file beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

import onnx

from onnxcam.errors import ModelError
from onnxcam.graph.external import has_external, moved, places

_CHUNK = 1 << 30
_ALIGNMENT = 1 << 16
"""Where the next file's bytes may start: memory is mapped in steps of up to 64 KB."""


def save_model(model: onnx.ModelProto, path: str | os.PathLike[str]) -> list[Path]:
    """Write a model that `rewrite` or `append_gradients` returned; returns all files it needs.

    That is one file, as long as the model fits into one (2 GB). A larger model keeps its weights
    outside: in the files they are in where these are in the new model's folder, else in a copy,
    `<path>.data`. Nothing large passes through memory. Raises `ModelError` when writing fails.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files = list(dict.fromkeys(place.file for place in places(model)))
        folder = path.parent.resolve()
        if all(file.is_relative_to(folder) for file in files):
            kept = {file: (file.relative_to(folder).as_posix(), 0) for file in files}
        else:
            data = path.with_name(f"{path.name}.data")
            if data.resolve() in files:
                raise ModelError(f"{data} holds weights of the model itself; choose another name")
            kept = {file: (data.name, start) for file, start in _joined(files, data).items()}
        onnx.save(moved(model, kept) if has_external(model) else model, str(path))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be written ({error})") from None
    return [path, *dict.fromkeys(folder / location for location, _ in kept.values())]


def _joined(files: Iterable[Path], target: Path) -> dict[Path, int]:
    """Write several files into one; returns where each begins."""
    starts: dict[Path, int] = {}
    unfinished = target.with_name(f"{target.name}.part")
    try:
        with unfinished.open("wb", buffering=0) as out:
            for file in files:
                out.seek(-out.tell() % _ALIGNMENT, os.SEEK_CUR)
                starts[file] = out.tell()
                with file.open("rb", buffering=0) as data:
                    _append(data, out)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return starts


def _append(data: FileIO, out: FileIO) -> None:
    """Copy the rest of a file, within the kernel where it can (some file systems share blocks)."""
    if hasattr(os, "copy_file_range"):
        try:
            while os.copy_file_range(data.fileno(), out.fileno(), _CHUNK):
                pass
        except OSError:
            pass  # between these file systems it cannot; go on from where it stopped
    shutil.copyfileobj(data, out, _ALIGNMENT)
