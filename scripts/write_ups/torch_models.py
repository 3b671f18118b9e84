"""torchvision's networks with drawn weights, as the write-ups are shown them."""

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx
import torch
from references.imagenet import ImageNetPhotographs
from references.recipe import Draw
from references.record import export
from references.torch_source import TorchSource, calibrate, fill
from torch import nn


def prepared(name: str, module: nn.Module, source: ImageNetPhotographs) -> list[Draw]:
    """Fill a module with weights drawn for `name` and fit it to its pictures; the draws."""
    draws = fill(f"write_ups/{name}", module)
    with torch.no_grad():
        calibrate(module, torch.from_numpy(source.values()))
    return draws


def exported(module: nn.Module, source: ImageNetPhotographs) -> onnx.ModelProto:
    """What torch.onnx.export writes, the batch left open."""
    return export(TorchSource(module, (), source))


def answer(
    module: nn.Module, x: np.ndarray, layers: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The logits, and the activations of layers by their paths, in double precision."""
    own, kept = in_precision(module, "float64"), {}

    def keep(path: str, _: nn.Module, __: object, output: torch.Tensor) -> None:
        kept[path] = output.numpy().copy()

    for path in layers:
        own.get_submodule(path).register_forward_hook(partial(keep, path))
    with torch.inference_mode():
        return own(tensor(x, "float64")).numpy(), kept


def in_precision(module: nn.Module, dtype: str) -> nn.Module:
    """A copy in the precision `dtype`."""
    return copy.deepcopy(module).to(getattr(torch, dtype))


def tensor(x: np.ndarray, dtype: str) -> torch.Tensor:
    return torch.from_numpy(x).to(getattr(torch, dtype))
