"""How the price scripts time something: a session of its own, a few runs in a row."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import onnx
import onnxruntime as ort

Run = Callable[[], object]


def session(model: onnx.ModelProto, threads: int = 0) -> ort.InferenceSession:
    """A session on the CPU with that many threads; 0 leaves their number to ONNX Runtime."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def block(run: Run, runs: int, pause: float) -> float:
    """Median seconds of a few runs in a row.

    The pause in front, in seconds, lets the worker threads of what ran before fall asleep: they
    spin for a while after a run, and on few cores they would be measured too. One more run, which
    is not counted, wakes this one's.
    """
    time.sleep(pause)
    spent = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent[1:])
