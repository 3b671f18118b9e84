"""What an error of the command line looks like."""

from __future__ import annotations

from click.testing import Result


def complaint(result: Result, status: int = 1) -> str:
    """The one line of an error, told apart from what was assumed."""
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("assumed: ")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]
