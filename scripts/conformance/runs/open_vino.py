"""OpenVINO on the CPU, in float32: left to itself it computes in bfloat16 where the CPU can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov

from conformance.exchange import Arrays, answer_jobs

CORE = ov.Core()


def run(model: Path, feeds: Arrays) -> Arrays:
    compiled = CORE.compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(feeds)
    return {
        name: np.array(results[port]) for port in compiled.outputs for name in sorted(port.names)
    }


if __name__ == "__main__":
    answer_jobs(f"openvino {ov.__version__}", run)
