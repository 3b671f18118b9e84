"""Starting workers and asking them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """What somebody compared could not do; the message is its own."""


def environment() -> dict[str, str]:
    """Of a worker; byte code is written, as it is for anyone who installs a package."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(SCRIPTS)}


@dataclass
class Process:
    """A worker in an environment; one that dies is started anew for what comes next."""

    python: str
    _running: subprocess.Popen[str] | None = field(default=None, init=False)

    def ask(self, do: str, **request: Any) -> Any:
        """The answer. Raises `Failed`."""
        process = self._process()
        assert process.stdin
        assert process.stdout
        try:
            print(json.dumps({"do": do, **request}), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = process.wait()
            self._running = None
            raise Failed(f"its process ended with status {status}")
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer["done"]

    def _process(self) -> subprocess.Popen[str]:
        if self._running is None or self._running.poll() is not None:
            self._running = subprocess.Popen(
                [self.python, "-m", "bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=SCRIPTS,
                env=environment(),
            )
        return self._running

    def end(self) -> None:
        if self._running is not None:
            self._running.terminate()
            self._running.wait()
            self._running = None
