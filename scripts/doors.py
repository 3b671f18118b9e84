"""Everything public that reads a model, tried on one file after another in a process of its own.

A process of its own, because a broken file may hang, crash or ask for all memory there is. It
reads paths, one a line, and answers each with a line of JSON; `Apart` is its other end.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import onnx
from click.testing import CliRunner

import onnxcam
from onnxcam.check import check
from onnxcam.cli import main as command_line

ANSWERED = ""
"""The outcome of a door that did what it is there for."""

BAD = "bad: "
"""How an outcome begins that must not be; any other is the line of an `OnnxCamError`."""

LONGEST_LINE = 1200
"""Letters of an error that somebody may read."""

LIFE = 200
"""Files that one process is asked about: libraries do not give back all they take."""

MEMORY = 4 * 2**30
"""Bytes that the process may ask for beyond what it has when it starts."""

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def _parsed(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except Exception:  # whatever protobuf says; the door itself gets to see the file
        return onnx.ModelProto()


def _gradients(path: Path) -> None:
    graph = _parsed(path).graph
    stored = {tensor.name for tensor in graph.initializer}
    fed = [value.name for value in graph.input if value.name not in stored]
    of = next((value.name for value in graph.output), "logits")
    onnxcam.append_gradients(path, of, fed[:1] or ["image"], seed=True)


def _from_memory(path: Path) -> None:
    onnxcam.rewrite(_parsed(path))


def _command(*words: str) -> Callable[[Path], None]:
    """The command line complains in one line and ends with status 1."""

    def run(path: Path) -> None:
        given = [str(path) if word == "MODEL" else word for word in words]
        result = CliRunner().invoke(command_line, given)
        if isinstance(result.exception, Exception):
            raise result.exception
        said = [line for line in result.stderr.splitlines() if not line.startswith("assumed: ")]
        if result.exit_code and said:
            assert result.exit_code == 1, result.exit_code
            assert len(said) == 1, said
            assert said[0].startswith("error: "), said
            raise onnxcam.OnnxCamError(said[0].removeprefix("error: "))

    return run


DOORS: dict[str, Callable[[Path], Any]] = {
    "append_gradients": _gradients,
    "rewrite": onnxcam.rewrite,
    "rewrite from memory": _from_memory,
    "explain": lambda path: onnxcam.explain(path, PICTURE),
    "check": check,
    "onnxcam layers": _command("layers", "MODEL"),
    "onnxcam rewrite": _command("rewrite", "MODEL", "-o", os.devnull),
    "onnxcam check": _command("check", "MODEL", "--json"),
}


def outcome(door: Callable[[Path], Any], path: Path) -> str:
    """`ANSWERED`, the line of an `OnnxCamError`, or `BAD` and what is wrong."""
    try:
        door(path)
    except onnxcam.OnnxCamError as error:
        line = str(error)
        plain = line.isprintable() and 0 < len(line) <= LONGEST_LINE
        return line if plain else f"{BAD}no readable line: {line[:LONGEST_LINE]!r}"
    except Exception:
        return BAD + traceback.format_exc()
    return ANSWERED


def _serve(answers: TextIO) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        found = {name: outcome(door, Path(line[:-1])) for name, door in DOORS.items()}
        print(json.dumps(found), file=answers, flush=True)


class Apart:
    """Asks one process about file after file, a new one where the last is gone."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self._asked = 0
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  (lives as long as this)

    def ask(self, path: Path, seconds: float) -> dict[str, str]:
        """The outcome of every door; "process" alone where it died or took too long."""
        if self._asked % LIFE == LIFE - 1:
            self.close()
        self._asked += 1
        process = self.process = self.process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if ready else ""
        if line:
            return dict(json.loads(line))
        if not ready:
            process.send_signal(signal.SIGABRT)  # which makes it say where it is
        process.wait()
        end = f"ended with status {process.returncode}" if ready else f"took over {seconds:g} s"
        self.close()
        return {"process": f"{BAD}{end}{self._where()}"}

    def _started(self) -> subprocess.Popen[str]:
        self._stderr.truncate(0)
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-X", "faulthandler", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def _where(self) -> str:
        """The innermost Python function of a process that crashed."""
        self._stderr.seek(0)
        _, _, stack = self._stderr.read().rpartition("(most recent call first):")
        frame = re.search(r'File "(.*)", line (\d+) in (.*)', stack)
        return " in {}:{} ({})".format(*frame.groups()) if frame else ""

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            with suppress(BrokenPipeError):
                self.process.communicate()
        self.process = None


def bad(outcomes: dict[str, str]) -> dict[str, str]:
    """Those outcomes that must not be."""
    return {door: said for door, said in outcomes.items() if said.startswith(BAD)}


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print where they like
    _serve(_answers)
