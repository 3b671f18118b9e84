"""PyTorch's side: modules and autograd."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .derivation import Backward, Layer
from .inputs import Drawn, Input
from .recipe import LIFT, Draw, kernel, positive, raised, shift, spread


class TorchSource:
    """A module in eval mode, exported by torch.export and differentiated by autograd."""

    precision = "float64"

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[Layer],
        pictures: Input,
        draws: Sequence[Draw] = (),
        published: str | None = None,
    ) -> None:
        self.published = published
        self.input = pictures
        self.module = module.eval()
        self.layers = layers
        self.draws = draws

    def export(self, path: Path) -> None:
        """torch.onnx.export as its manual shows it, weights inside the file."""
        torch.onnx.export(
            self.module,
            (torch.zeros(self.input.shape),),
            path,
            dynamo=True,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )

    def output(self, x: np.ndarray) -> np.ndarray:
        """The logits, in double precision arithmetic, rounded at the end."""
        with torch.inference_mode():
            return self._in("float64")(torch.from_numpy(x).double()).numpy().astype(np.float32)

    def backward(self, x: np.ndarray, classes: Sequence[int], dtype: str) -> Backward:
        """Autograd from the logits back to every layer."""
        module = self._in(dtype)
        kept: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            module.get_submodule(layer.path).register_forward_hook(partial(_keep, kept, layer.path))
        logits = module(torch.from_numpy(x).to(getattr(torch, dtype)))
        score = logits[range(len(x)), list(classes)].sum()
        gradients = torch.autograd.grad(score, list(kept.values()))
        return Backward(
            logits=logits.detach().numpy(),
            activations={path: values.detach().numpy() for path, values in kept.items()},
            gradients={
                path: gradient.numpy() for path, gradient in zip(kept, gradients, strict=True)
            },
        )

    def _in(self, dtype: str) -> nn.Module:
        return copy.deepcopy(self.module).to(getattr(torch, dtype))


def _keep(
    kept: dict[str, torch.Tensor], path: str, _: nn.Module, __: object, output: torch.Tensor
) -> torch.Tensor:
    """Keep a layer's output, and pass on a copy that later in-place operations may overwrite."""
    kept[path] = output
    return output.clone()


def drawn(
    name: str,
    module: nn.Module,
    layers: Sequence[Layer],
    prepare: Callable[[nn.Module, torch.Tensor], None],
) -> TorchSource:
    """A network filled with drawn weights, then prepared with the input it will be shown."""
    draws = fill(name, module)
    source = TorchSource(module, layers, Drawn(name, (2, 3, 224, 224), "NCHW"), draws)
    with torch.no_grad():
        prepare(module, torch.from_numpy(source.input.values()))
    return source


def fill(name: str, module: nn.Module) -> list[Draw]:
    """Give every parameter the values drawn for it; returns the draws."""
    draws = [
        _draw(f"{name}/{path}.{key}", key, owner, parameter)
        for path, owner in module.named_modules()
        for key, parameter in owner._parameters.items()
        if parameter is not None
    ]
    with torch.no_grad():
        for parameter, draw in zip(module.parameters(), draws, strict=True):
            parameter.copy_(torch.from_numpy(draw.values()))
    return draws


def _draw(name: str, key: str, owner: nn.Module, parameter: nn.Parameter) -> Draw:
    """The draw that suits a parameter, by the part it plays."""
    shape = tuple(parameter.shape)
    if isinstance(owner, nn.BatchNorm2d) and key == "bias":
        return raised(name, shape)
    if key == "bias":
        return shift(name, shape)
    if key == "layer_scale" or len(shape) == 1:
        return positive(name, shape)
    if key == "weight":
        return kernel(name, shape, int(np.prod(shape[1:])))
    return spread(name, shape, 0.5)


def calibrate(module: nn.Module, x: torch.Tensor) -> None:
    """Give every batch normalisation the statistics of what flows through it.

    With any other statistics a deep untrained network answers every picture alike.
    """
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
            norm.train()
    module(x)
    module.eval()


def lift(module: nn.Module, x: torch.Tensor) -> None:
    """The same for a network without normalisation: raise its convolutions' biases to suit."""

    def adjust(convolution: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        change = LIFT * output.std((0, 2, 3)) - output.mean((0, 2, 3))
        convolution.bias += change
        return output + change[:, None, None]

    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    hooks = [convolution.register_forward_hook(adjust) for convolution in convolutions]
    module(x)
    for hook in hooks:
        hook.remove()
