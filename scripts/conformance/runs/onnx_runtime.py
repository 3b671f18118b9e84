"""ONNX Runtime's Python package.

    python -m conformance.runs.onnx_runtime PROVIDER ALL|NONE JOBS FOLDER

ALL or NONE of the graph's optimisations.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnxruntime as ort

from conformance.exchange import Arrays, answer_jobs

LEVELS = {
    "ALL": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "NONE": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


def run(provider: str, level: str, model: Path, feeds: Arrays) -> Arrays:
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    # what a device's provider lacks goes to the CPU, which is how it is used
    providers = list(dict.fromkeys([provider, "CPUExecutionProvider"]))
    session = ort.InferenceSession(str(model), options, providers=providers)
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"{provider} did not start; {session.get_providers()[0]} ran instead")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


if __name__ == "__main__":
    wanted, optimised = sys.argv[1:3]
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    answer_jobs(
        f"onnxruntime {ort.__version__}",
        lambda model, feeds: run(wanted, optimised, model, feeds),
    )
