"""What explaining a volume of 144x168x152 costs beside classifying it: time and memory.

The networks are the write-up's (`keras_volume.py`), built again from their recordings; the bare
model and the rewritten one, which also gives the map, run in turns on two threads. Peak memory is
that of a fresh process which loads one of the two and runs it once (Linux).

Environment: pip install -e '.[cpu]'
Run from scripts/: python -m write_ups.price_volume
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from write_ups.kept import kept

NAMES = ("keras_volume_sigmoid", "keras_volume_softmax")
METHODS = ("gradcam-minmax", "gradcam", "hirescam")
LAYER = "conv3d_7"
THREADS, PAIRS = 2, 15
PAUSE = 0.2
"""Lets the other session's worker threads, which spin for a while after a run, fall asleep."""


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(running: ort.InferenceSession, x: np.ndarray) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    running.run(None, {running.get_inputs()[0].name: x})
    return time.perf_counter() - start


def in_turns(bare: Path, explained: Path, x: np.ndarray) -> tuple[float, float, list[float]]:
    """Median seconds of both, and the ratio of every pair of neighbouring runs."""
    both = [session(bare), session(explained)]
    for one in both:
        run(one, x)
    pairs = []
    for number in range(PAIRS):
        spent = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):  # who goes first alternates
            time.sleep(PAUSE)
            spent[which] = run(both[which], x)
        pairs.append(spent)
    ratios = [second / first for first, second in pairs]
    return *(statistics.median(times) for times in zip(*pairs, strict=True)), ratios


def peak(path: Path, x: Path) -> float:
    """Peak megabytes of a process that loads a model and runs it once."""
    command = [sys.executable, "-m", "write_ups.price_volume", str(path), str(x)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def prices(name: str, folder: Path) -> None:
    """Print a line for each method."""
    import onnxcam

    reference, model = kept(name)
    bare, x = folder / f"{name}.onnx", folder / f"{name}.npy"
    onnx.save(model, bare)
    np.save(x, reference.x)
    memory = peak(bare, x)
    for method in METHODS:
        explained = folder / f"{name}.{method}.onnx"
        made = onnxcam.rewrite(model, method, layer=LAYER, score="probability")
        onnx.save(made, explained)
        first, second, ratios = in_turns(bare, explained, reference.x)
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{name:<22}{method:<16}{first * 1e3:>9.0f}{second * 1e3:>14.0f}{middle:>8.3f}"
            f"{f'{low:.3f}-{high:.3f}':>16}{memory:>10.0f}{peak(explained, x):>14.0f}",
            flush=True,
        )


def main() -> None:
    print(
        f"{'network':<22}{'method':<16}{'bare ms':>9}{'explained ms':>14}{'ratio':>8}"
        f"{'quartiles':>16}{'bare MB':>10}{'explained MB':>14}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            prices(name, Path(folder))


def measure(path: Path, x: Path) -> None:
    """Print the peak megabytes of this process, which runs a model once.

    Linux keeps them by program; `getrusage` would count what the starting process had as well.
    """
    run(session(path), np.load(x))
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    print(int(found[1]) / 1024)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(*map(Path, sys.argv[1:]))
    else:
        main()
