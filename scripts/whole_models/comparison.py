"""One network: onnxcam's gradient in ONNX Runtime beside the framework's in double precision."""

from __future__ import annotations

import gc
import json
import sys
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import onnxruntime as ort

import onnxcam
from onnxcam.check.double import evaluator


@dataclass(frozen=True)
class Comparison:
    """What was measured; distances are relative to the gradient in double precision."""

    name: str
    shape: tuple[int, ...]
    exporter: str
    opset: int
    nodes: int
    seconds: float
    """Spent on rewriting the model."""
    output: float
    """Of the network's own output, by the largest entry: whether the export is right at all."""
    largest: float
    """Largest difference of two entries over the largest entry."""
    norm: float
    """Norm of the difference over the norm."""
    floor: float
    """The same of the framework's own float32: what rounding at ReLUs and maxima costs."""
    exact: float | None = None
    """The same of the model in float64, in onnx's reference implementation, where it was run."""

    def append_to(self, path: Path) -> None:
        """One more line of JSON."""
        with path.open("a") as lines:
            lines.write(json.dumps(asdict(self)) + "\n")


@dataclass(frozen=True)
class Derivation:
    """The framework's own: the output, and the gradient of its weighted sum to the input."""

    output: np.ndarray
    gradient: np.ndarray


def compare(
    name: str,
    exporter: str,
    path: Path,
    x: np.ndarray,
    weights: np.ndarray,
    double: Derivation,
    single: Derivation,
) -> Comparison:
    """Rewrite the model in `path`, run it, and measure; first input, first output."""
    model = onnx.load(path)
    source, target = model.graph.input[0].name, model.graph.output[0].name
    started = perf_counter()
    rewritten = onnxcam.append_gradients(model, of=target, wrt=[source], seed=True)
    seconds = perf_counter() - started
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(rewritten.SerializeToString(), options)
    output, gradient = session.run(
        [target, f"{source}_grad"], {source: x, f"{target}_seed": weights}
    )
    return Comparison(
        name=name,
        shape=tuple(x.shape),
        exporter=exporter,
        opset=next(i.version for i in model.opset_import if i.domain in ("", "ai.onnx")),
        nodes=len(model.graph.node),
        seconds=round(seconds, 2),
        output=away(output, double.output),
        largest=float(np.abs(gradient - double.gradient).max() / np.abs(double.gradient).max()),
        norm=away(gradient, double.gradient),
        floor=away(single.gradient, double.gradient),
    )


def record(each: Iterable[tuple[str, Iterable[Comparison]]], results: Path) -> None:
    """Append to `results` what every network gives, print the table; a failure is named."""
    for name, comparisons in each:
        try:
            for comparison in comparisons:
                comparison.append_to(results)
        except Exception:
            print(f"{name} failed", file=sys.stderr)
            traceback.print_exc()
        gc.collect()
    print(table(results))


def in_double(path: Path, x: np.ndarray, weights: np.ndarray, double: Derivation) -> float:
    """How far off the gradient is where nothing is rounded to float32: `path` holds float64."""
    model = onnx.load(path)
    source, target = model.graph.input[0].name, model.graph.output[0].name
    rewritten = onnxcam.append_gradients(model, of=target, wrt=[source], seed=True)
    feeds = {source: x.astype(np.float64), f"{target}_seed": weights.astype(np.float64)}
    (gradient,) = evaluator(rewritten).run([f"{source}_grad"], feeds)
    return away(gradient, double.gradient)


def away(a: np.ndarray, b: np.ndarray) -> float:
    """|a - b| / |b| in the Euclidean norm."""
    b = b.astype(np.float64)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def table(path: Path) -> str:
    """The results in Markdown: of a network's pictures, the nearest and the furthest."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [
        "| network | input | exporter, opset | nodes | rewriting, s | pictures | difference: least "
        "| largest | floor: least | largest | in float64 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in sorted({row["name"] for row in found}):
        of_it = [row for row in found if row["name"] == name]
        row = of_it[-1]
        shape = "x".join(map(str, row["shape"]))
        norms, floors = ([other[key] for other in of_it] for key in ("norm", "floor"))
        exact = [f"{other['exact']:.1e}" for other in of_it if other.get("exact") is not None]
        rows.append(
            f"| {name} | {shape} | {row['exporter']}, {row['opset']} | {row['nodes']} "
            f"| {row['seconds']:.1f} | {len(of_it)} | {min(norms):.1e} | {max(norms):.1e} "
            f"| {min(floors):.1e} | {max(floors):.1e} | {', '.join(exact)} |"
        )
    return "\n".join(rows)
