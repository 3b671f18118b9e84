"""One contestant, one task, from nothing to a heatmap: for cold starts and peak memory.

Prints the megabytes that the process has held at most.

Run from scripts/: python -m bench.once CONTESTANT TASK
"""

from __future__ import annotations

import sys
import warnings

from bench.task import Task
from bench.worker import enter, peak


def main(contestant: str, task: str) -> None:
    warnings.simplefilter("ignore")
    enter(contestant, Task.parse(task))()
    print(f"{peak():.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
