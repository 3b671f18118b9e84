"""What was measured, kept line by line: a run that is interrupted goes on where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Measured
from bench.tables import Row, Table

Key = tuple[str, str, int]


def key(table: Table, row: Row) -> Key:
    """A row of a table, by title and batch."""
    return table.name, row.title, row.batch


@dataclass(frozen=True)
class Results:
    """Lines of JSON in a folder, a file for each device."""

    folder: Path
    device: str = "cpu"

    @property
    def file(self) -> Path:
        return self.folder / f"results.{self.device}.jsonl"

    def add(self, table: Table, row: Row, measured: dict[str, Measured]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        line = {"row": key(table, row), "measured": {k: m.kept() for k, m in measured.items()}}
        with self.file.open("a") as file:
            print(json.dumps(line), file=file)

    def read(self) -> dict[Key, dict[str, Measured]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        found: dict[Key, dict[str, Measured]] = {}
        for line in lines:
            given = json.loads(line)
            name, title, batch = given["row"]
            found[name, title, batch] = {
                who: Measured(**each) for who, each in given["measured"].items()
            }
        return found
