"""The one file that holds all of a model: read once, and handed on as it is."""

from __future__ import annotations

from io import SEEK_END, BytesIO
from pathlib import Path
from threading import Lock

import onnx


class ModelFile:
    """A file as it was read. Raises `OSError`.

    Its bytes are kept for the first session, which needs all of them, and then given away: protobuf
    takes longer to write large weights than a disk to read them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _state(path)
        self._read: BytesIO | None = _read(path)
        self._giving = Lock()

    def parsed(self) -> onnx.ModelProto:
        """The model; protobuf's `DecodeError` where the file holds none."""
        assert self._read is not None
        return onnx.load_model_from_string(self._read.getvalue(), format="protobuf")

    def followed_by(self, added: bytes) -> bytes | None:
        """What was read, and other bytes behind it; None where the file has changed since."""
        with self._giving:
            whole, self._read = self._read, None
        if whole is None:
            if self._state is None or _state(self._path) != self._state:
                return None
            whole = _read(self._path)
            if whole.tell() != self._state[0]:
                return None
        whole.write(added)
        return whole.getvalue()


def _read(path: Path) -> BytesIO:
    """The file's bytes, in what grows, and hands them out, without a copy."""
    whole = BytesIO(path.read_bytes())
    whole.seek(0, SEEK_END)
    return whole


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells that a file was written again, its size first; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino)
