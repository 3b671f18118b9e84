"""What an explanation costs: the rewritten model's forward pass beside the bare one's.

Both sessions live in one process and take turns, so that a drift of the machine's speed meets
both. The networks are those of `tests/references`, built again from their recipes, and
EfficientNet-Lite0 from `models/`; no framework is needed.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/price.py [NAME ...]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from references import rebuild
from timing import block, session

import onnxcam
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input

MODELS = Path(__file__).resolve().parents[1] / "models"
NETWORKS = (
    "torch_resnet50",
    "torch_mobilenet_v3_large",
    "efficientnet_lite0",
    "torch_densenet121",
    "timm_vit_tiny",
)
BATCHES = (1, 8)
SECONDS = 15.0
"""How long each pair is measured."""

PAUSE, RUNS_A_BLOCK = 0.05, 5


def load(name: str) -> onnx.ModelProto:
    """A network by its recording's name, or by its file's in `models/`."""
    file = MODELS / f"{name}.onnx"
    return onnx.load(file) if file.exists() else rebuild.build(rebuild.read(name))


def compare(
    bare: ort.InferenceSession, rewritten: ort.InferenceSession, feeds: dict[str, np.ndarray]
) -> tuple[float, float, list[float]]:
    """Median seconds of both, and the ratio of every pair of neighbouring blocks."""

    def timed(runner: ort.InferenceSession) -> float:
        return block(lambda: runner.run(None, feeds), RUNS_A_BLOCK, PAUSE)

    timed(bare), timed(rewritten)
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(pairs) < 10:
        if len(pairs) % 2:  # who goes first alternates as well
            second, first = timed(rewritten), timed(bare)
        else:
            first, second = timed(bare), timed(rewritten)
        pairs.append((first, second))
    first_all, second_all = zip(*pairs, strict=True)
    ratios = [b / a for a, b in pairs]
    return statistics.median(first_all), statistics.median(second_all), ratios


def main(names: list[str]) -> None:
    print(f"onnxruntime {ort.__version__}, onnx {onnx.__version__}, onnxcam {onnxcam.__version__}")
    print(
        f"{'network':<26}{'batch':>6}{'bare ms':>10}{'explained ms':>14}"
        f"{'ratio':>8}{'quartiles':>16}{'rewrite s':>11}"
    )
    for name in names:
        model = load(name)
        start = time.perf_counter()
        explained = onnxcam.rewrite(model)
        spent = time.perf_counter() - start
        bare, rewritten = session(model), session(explained)
        image = find_image_input(Network(model))
        shape = [image.channels, image.height, image.width]
        for batch in BATCHES:
            rng = np.random.default_rng(0)
            x = rng.standard_normal((batch, *shape)).astype(np.float32)
            one, other, ratios = compare(bare, rewritten, {image.name: x})
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(
                f"{name:<26}{batch:>6}{one * 1e3:>10.2f}{other * 1e3:>14.2f}{middle:>8.3f}"
                f"{f'{low:.3f}-{high:.3f}':>16}{spent:>11.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or list(NETWORKS))
