"""Paddle's side: layers in eval mode, and paddle.grad."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from .derivation import Backward, Layer
from .inputs import Drawn, Input
from .recipe import Draw, kernel, positive, raised, shift


class PaddleSource:
    """A network that answers with logits, plus the `answer` function its model ends with."""

    precision = "float64"

    def __init__(
        self,
        network: nn.Layer,
        layers: Sequence[str],
        pictures: Input,
        opset: int,
        draws: Sequence[Draw] = (),
        published: str | None = None,
        answer: Callable[[paddle.Tensor], paddle.Tensor] = paddle.assign,
    ) -> None:
        self.network = network
        self.layers = [Layer(path, "NCHW") for path in layers]
        self.opset = opset
        self.draws = draws
        self.published = published
        self.answer = answer
        self.input = pictures
        network.eval()

    def export(self, path: Path) -> None:
        """paddle.onnx.export, the batch left open."""
        spec = paddle.static.InputSpec([None, *self.input.shape[1:]], "float32", "x")
        paddle.onnx.export(
            self.network, str(path.with_suffix("")), input_spec=[spec], opset_version=self.opset
        )

    def output(self, x: np.ndarray) -> np.ndarray:
        """The model's answer, in double precision arithmetic, rounded at the end."""
        with paddle.no_grad():
            logits = self._in("float64")(paddle.to_tensor(x.astype("float64")))
            return self.answer(logits).numpy().astype(np.float32)

    def backward(self, x: np.ndarray, classes: Sequence[int], dtype: str) -> Backward:
        """paddle.grad from the logits back to every layer."""
        network = self._in(dtype)
        kept: dict[str, paddle.Tensor] = {}
        parts = dict(network.named_sublayers())
        for layer in self.layers:
            parts[layer.path].register_forward_post_hook(partial(_keep, kept, layer.path))
        logits = network(paddle.to_tensor(x.astype(dtype)))
        wanted = nn.functional.one_hot(paddle.to_tensor(list(classes)), logits.shape[1])
        gradients = paddle.grad((logits * wanted.astype(dtype)).sum(), list(kept.values()))
        return Backward(
            logits=logits.numpy(),
            activations={path: values.numpy() for path, values in kept.items()},
            gradients={
                path: gradient.numpy() for path, gradient in zip(kept, gradients, strict=True)
            },
        )

    def _in(self, dtype: str) -> nn.Layer:
        network = copy.deepcopy(self.network)
        network.to(dtype=dtype)
        network.eval()
        return network


def _keep(
    kept: dict[str, paddle.Tensor], path: str, _: nn.Layer, __: object, output: paddle.Tensor
) -> None:
    kept[path] = output


def drawn(name: str, network: nn.Layer, layers: Sequence[str], opset: int) -> PaddleSource:
    """A network filled with drawn weights and normalised by the statistics of its own input."""
    draws = fill(name, network)
    source = PaddleSource(network, layers, Drawn(name, (2, 3, 224, 224), "NCHW"), opset, draws)
    calibrate(network, paddle.to_tensor(source.input.values()))
    return source


def fill(name: str, network: nn.Layer) -> list[Draw]:
    """Give every parameter the values drawn for it; returns the draws."""
    draws = []
    for path, owner in network.named_sublayers():
        for key, parameter in owner.named_parameters(include_sublayers=False):
            draws.append(_draw(f"{name}/{path}.{key}", key, owner, parameter))
            parameter.set_value(draws[-1].values())
    return draws


def _draw(name: str, key: str, owner: nn.Layer, parameter: paddle.Tensor) -> Draw:
    """The draw that suits a parameter, by the part it plays."""
    shape = tuple(parameter.shape)
    if isinstance(owner, nn.BatchNorm2D):
        return raised(name, shape) if key == "bias" else positive(name, shape)
    if key == "bias":
        return shift(name, shape)
    inputs = shape[:1] if isinstance(owner, nn.Linear) else shape[1:]
    return kernel(name, shape, int(np.prod(inputs)))


@paddle.no_grad()
def calibrate(network: nn.Layer, x: paddle.Tensor) -> None:
    """Give every batch normalisation the statistics of what flows through it."""
    for part in network.sublayers():
        if isinstance(part, nn.BatchNorm2D | nn.BatchNorm):
            part._momentum = 0.0
            part.train()
    network(x)
    network.eval()
