"""The one file that holds all of a model: read once, and handed on as it is."""

from __future__ import annotations

import math
from io import SEEK_END, BytesIO
from pathlib import Path
from threading import Lock

import onnx

from onnxcam.graph.external import LARGEST_READ, Place, leave, size_in_bytes, state_of
from onnxcam.graph.wire import raw_data_of_initializers

LARGE = 1 << 25
"""Bytes of a file from which on its weights are not kept in memory a second time."""


class ModelFile:
    """A file as it was read. Raises `OSError`.

    Its bytes are kept for the first session, which needs all of them, and then given away: protobuf
    takes longer to write large weights than a disk to read them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = state_of(path)
        self._read: BytesIO | None = _read(path)
        self._giving = Lock()

    def parsed(self) -> onnx.ModelProto:
        """The model; protobuf's `DecodeError` where the file holds none."""
        assert self._read is not None
        return onnx.load_model_from_string(self._read.getvalue(), format="protobuf")

    def lightened(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """What `parsed` gave, its large weights left in the file; itself where that is small.

        `model` is used up.
        """
        assert self._read is not None
        data = self._read.getvalue()
        if len(data) < LARGE or not self._state:
            return model
        try:
            spans = raw_data_of_initializers(data)
        except ValueError:  # protobuf reads more than onnx writes
            return model
        for tensor, span in zip(model.graph.initializer, spans, strict=True):
            if span is None or math.prod(tensor.dims) <= LARGEST_READ:
                continue
            start, end = span
            if end - start == size_in_bytes(tensor):  # of others the error comes later
                leave(tensor, Place(self._path.resolve(), start, end - start, self._state))
        light = onnx.ModelProto()
        light.CopyFrom(model)  # protobuf keeps what was cleared until the whole message goes
        return light

    def followed_by(self, added: bytes) -> bytes | None:
        """What was read, and other bytes behind it; None where the file has changed since."""
        with self._giving:
            whole, self._read = self._read, None
        if whole is None:
            if not self._state or state_of(self._path) != self._state:
                return None
            whole = _read(self._path)
            if state_of(self._path) != self._state:
                return None
        whole.write(added)
        return whole.getvalue()


def _read(path: Path) -> BytesIO:
    """The file's bytes, in what grows, and hands them out, without a copy."""
    whole = BytesIO(path.read_bytes())
    whole.seek(0, SEEK_END)
    return whole
