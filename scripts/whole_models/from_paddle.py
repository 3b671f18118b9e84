"""Paddle's side: networks with random weights, exported, and differentiated by paddle.grad."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F
from references.paddle_source import calibrate

from .comparison import Comparison, Derivation, compare, record
from .paddle_networks import BATCH, FIXED, NETWORKS, PICTURE, Network

PICTURES = 8
"""A ReLU that rounding turns differs from picture to picture; a wrong rule does not."""

OPEN = {FIXED: "", BATCH: " (open batch)", PICTURE: " (open batch, height, width)"}


class FirstOutput(nn.Layer):
    """A network's logits alone, where auxiliary heads answer as well."""

    def __init__(self, network: nn.Layer) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        answer = self.network(x)
        return answer[0] if isinstance(answer, list | tuple) else answer


def measured(network: Network, count: int = PICTURES) -> Iterator[Comparison]:
    """Build and export one network; differentiate it at as many pictures."""
    paddle.seed(0)
    layer = FirstOutput(network.build())
    _shake(layer)
    _lift(layer, network.lift)
    calibrate(layer, paddle.randn([8, *network.shape[1:]]))
    layer.eval()
    pictures = [paddle.randn(network.shape).numpy() for _ in range(count)]
    with paddle.no_grad():
        weights = paddle.randn(layer(paddle.to_tensor(pictures[0])).shape).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _export(network, layer, path)
        _weigh_apart(layer)
        in_float32 = [_derivation(layer, x, weights, "float32") for x in pictures]
        layer.to(dtype="float64")
        for x, single in zip(pictures, in_float32, strict=True):
            double = _derivation(layer, x, weights, "float64")
            exporter = f"paddle2onnx{OPEN[network.open]}"
            yield compare(network.name, exporter, path, x, weights, double, single)


@paddle.no_grad()
def _shake(layer: nn.Layer) -> None:
    """Move parameters off the constants they start from, which would hide parts of the network."""
    for parameter in layer.parameters():
        start = parameter.flatten()[0]
        if parameter.size > 1 and bool((parameter == start).all()):
            parameter.set_value(start + 0.2 * paddle.randn(parameter.shape))


@paddle.no_grad()
def _lift(layer: nn.Layer, deviations: float) -> None:
    """Raise what the batch normalisations answer, as `Network.lift` says."""
    for part in layer.sublayers():
        if isinstance(part, nn.BatchNorm2D | nn.BatchNorm):
            part.bias.set_value(part.bias + deviations * part.weight.abs())


def _export(network: Network, layer: nn.Layer, path: Path) -> None:
    sides = [None if axis in network.open else side for axis, side in enumerate(network.shape)]
    spec = paddle.static.InputSpec(sides, "float32", "x")
    stem = path.with_suffix("")
    paddle.onnx.export(layer, str(stem), input_spec=[spec], opset_version=network.opset)


def _weigh_apart(layer: nn.Layer) -> None:
    """Make every layer normalisation multiply by its weight in an operation of its own.

    On the CPU, layer_norm's own gradient to its input leaves the weight out (Paddle 3.3.1).
    """

    def forward(norm: nn.LayerNorm, x: paddle.Tensor) -> paddle.Tensor:
        shape = norm._normalized_shape
        return F.layer_norm(x, shape, epsilon=norm._epsilon) * norm.weight + norm.bias

    for part in layer.sublayers():
        if isinstance(part, nn.LayerNorm):
            part.forward = partial(forward, part)


def _derivation(layer: nn.Layer, x: np.ndarray, weights: np.ndarray, dtype: str) -> Derivation:
    given = paddle.to_tensor(x.astype(dtype), stop_gradient=False)
    output = layer(given)
    (gradient,) = paddle.grad((output * paddle.to_tensor(weights.astype(dtype))).sum(), given)
    return Derivation(output.numpy(), gradient.numpy())


def main(results: Path, wanted: list[str]) -> None:
    """Measure the networks named (all, if none)."""
    warnings.simplefilter("ignore")
    chosen = [network for network in NETWORKS if not wanted or network.architecture in wanted]
    record(((network.name, measured(network)) for network in chosen), results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
