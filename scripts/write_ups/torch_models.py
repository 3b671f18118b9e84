"""torchvision's networks with drawn weights, as the write-ups are shown them."""

import copy

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


def answer(module: nn.Module, x: np.ndarray, dtype: str = "float64") -> np.ndarray:
    """The logits in the precision `dtype`."""
    with torch.inference_mode():
        return in_precision(module, dtype)(tensor(x, dtype)).numpy()


def in_precision(module: nn.Module, dtype: str) -> nn.Module:
    """A copy in the precision `dtype`."""
    return copy.deepcopy(module).to(getattr(torch, dtype))


def tensor(x: np.ndarray, dtype: str) -> torch.Tensor:
    return torch.from_numpy(x).to(getattr(torch, dtype))
