"""Does a model differentiate, and is the emitted gradient right? Measured on the model itself.

The gradient of the best class's logit at the target layer is compared with central differences:
the layer's tensor is shifted by a new input, and the score's change is watched. float32 limits
what differences can show, so each direction is tried at several step sizes and the best agreement
counts; a wrong rule disagrees at all of them. Shifts are relative to the activations' rms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from onnxcam.autodiff.walk import find_path, missing_derivatives
from onnxcam.card import LabelSpec, PreprocessSpec
from onnxcam.compose import compose
from onnxcam.errors import OnnxCamError, UnsupportedOperatorError
from onnxcam.explainer import understand
from onnxcam.graph.head import find_head
from onnxcam.graph.layers import LayerSpec, rank_layers, resolve_layer
from onnxcam.graph.load import ModelSource
from onnxcam.graph.network import Network
from onnxcam.runtime import Runner
from onnxcam.targets import CLASS_INPUT

TOLERANCE = 2e-2
"""Largest relative disagreement with float32 central differences that passes."""

_SHIFT = "cam_shift"
_JITTER = 0.1
_STEADIER = 3.0
_ROUNDINGS = 4
_STEPS = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
_RANDOM_DIRECTIONS = 3


@dataclass(frozen=True)
class Report:
    """What `check` found.

    `errors` are relative differences, one a direction, and `roughness` how far the differences
    of neighbouring step sizes lie apart, which is what they can be trusted to; both are empty
    when the model does not differentiate.
    """

    opset: int
    input: str
    head: str
    classes: int
    layer: str
    operators: dict[str, int]
    missing: dict[str, int]
    errors: tuple[float, ...]
    roughness: tuple[float, ...]
    verdict: str
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__) | {"tolerance": TOLERANCE}


def check(
    model: ModelSource,
    layer: LayerSpec = None,
    preprocess: PreprocessSpec = None,
    labels: LabelSpec = None,
) -> Report:
    """Differentiate a model's best class at a layer and compare with finite differences.

    A model that cannot be differentiated gets a report that says so; one that cannot be read or
    run raises an `OnnxCamError`.
    """
    network, image, card = understand(model, preprocess, labels)
    head = find_head(network)
    target = resolve_layer(network, layer)
    path = find_path(network.graph.nodes, [target.name], [head.logits.name])
    operators = Counter(node.op for node in path.nodes)
    missing = Counter(node.op for node in missing_derivatives(path))
    errors, roughness = (), ()
    try:
        rows, columns = card.preprocess.input_size(image)
        noise = np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        feeds = {image.name: card.preprocess.tensor(noise, image)}
        feeds = {k: np.repeat(v, image.batch or 1, axis=0) for k, v in feeds.items()}
        errors, roughness = zip(*_compare(network, target.name, feeds), strict=True)
        passed, verdict = _verdict(errors, roughness)
    except UnsupportedOperatorError as error:
        passed, verdict = False, f"{error}{_instead(network)}"
    shape = f"{image.name} {image.layout} {network.tensors[image.name].shape}"
    return Report(
        network.opset,
        shape,
        head.kind,
        head.classes,
        target.name,
        dict(operators),
        dict(missing),
        errors,
        roughness,
        verdict,
        passed,
    )


def _verdict(errors: Sequence[float], roughness: Sequence[float]) -> tuple[bool, str]:
    """A disagreement counts where the differences themselves are steadier than it is."""
    wrong = [
        error
        for error, rough in zip(errors, roughness, strict=True)
        if error > max(TOLERANCE, _STEADIER * rough)
    ]
    if wrong:
        return False, (
            f"differentiates, but disagrees with finite differences by {max(wrong):.1e}; "
            f"do not trust its maps"
        )
    if max(errors) <= TOLERANCE:
        return True, f"differentiates; agrees with finite differences within {max(errors):.1e}"
    return True, (
        f"differentiates; float32 differences confirm it only within {max(errors):.1e}, they "
        f"are that rough themselves here"
    )


def _instead(network: Network) -> str:
    """The best layer that does work, in words."""
    for layer in rank_layers(network):
        try:
            compose(network, "gradcam", layer.name, 1, "logit")
        except OnnxCamError:
            continue
        return f"; --layer '{layer.name}' works"
    return ""


def _compare(
    network: Network, layer: str, feeds: dict[str, np.ndarray]
) -> list[tuple[float, float]]:
    """(error, roughness) of each direction."""
    made = compose(network, "gradcam", layer, 1, "logit")
    features = made.layer.features.tensor
    targets = made.targets
    plain = Runner(made.model({"cam_activations": features, "cam_target": targets.index}))
    seen = plain.run(feeds)
    activations = seen["cam_activations"]
    gradient = made.emitter.expand(made.gradient, features)
    model = made.model({"cam_gradient": gradient, "cam_score": targets.score})
    runner = Runner(_shifted(model, layer, activations))
    feeds = feeds | {CLASS_INPUT: seen["cam_target"]}
    scale = float(np.sqrt(np.mean(np.square(activations, dtype=np.float64)))) or 1.0
    rng = np.random.default_rng(0)
    # Exact ties (the zeros behind a ReLU, pooled) have no derivative: measure beside them.
    jitter = _JITTER * scale * rng.standard_normal(activations.shape)
    beside = jitter.astype(activations.dtype)
    g = runner.run(feeds | {_SHIFT: beside})["cam_gradient"].astype(np.float64)
    directions = [rng.standard_normal(g.shape) for _ in range(_RANDOM_DIRECTIONS)]
    if g.any():
        directions.append(g / np.sqrt(np.mean(g**2)))
    return [_disagreement(runner, feeds, beside, g, v * scale) for v in directions]


def _disagreement(
    runner: Runner, feeds: dict[str, np.ndarray], at: np.ndarray, g: np.ndarray, v: np.ndarray
) -> tuple[float, float]:
    """Smallest relative difference between <g, v> and central differences along v; roughness."""
    expected = float(np.sum(g * v))
    # A random direction can be nearly orthogonal to g; its typical product is the yardstick then.
    yardstick = max(abs(expected), float(np.linalg.norm(g) * np.linalg.norm(v) / np.sqrt(g.size)))
    slopes, noise = [], []
    for step in _STEPS:
        scores = [
            runner.run(feeds | {_SHIFT: (at + sign * step * v).astype(at.dtype)})["cam_score"]
            for sign in (1, -1)
        ]
        slopes.append(float((scores[0].astype(np.float64) - scores[1]).sum()) / (2 * step))
        noise.append(_ROUNDINGS * np.finfo(at.dtype).eps * np.abs(scores).sum() / (2 * step))
    unit = yardstick or 1.0
    best = int(np.argmin(np.abs(np.array(slopes) - expected)))
    around = np.abs(np.diff(slopes))[max(0, best - 1) : best + 1]
    rough = float(max(around.min(), noise[best]))
    return abs(slopes[best] - expected) / unit, rough / unit


def _shifted(model: onnx.ModelProto, layer: str, like: np.ndarray) -> onnx.ModelProto:
    """The model with a new input added to the layer's tensor, seen by all that use it."""
    moved = f"onnxcam/shifted/{layer}"
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == layer:
                node.input[i] = moved
    add = onnx.helper.make_node("Add", [layer, _SHIFT], [moved])
    made_at = [i for i, node in enumerate(model.graph.node) if layer in node.output]
    model.graph.node.insert(made_at[0] + 1 if made_at else 0, add)
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(like.dtype)
    model.graph.input.append(onnx.helper.make_tensor_value_info(_SHIFT, elem_type, like.shape))
    return model
