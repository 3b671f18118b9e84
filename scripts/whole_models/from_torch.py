"""PyTorch's side: networks with random weights, exported, and differentiated by autograd."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from references.torch_source import calibrate
from references.torchvision_import import torchvision
from torch import nn

import timm  # isort: skip  (it imports torchvision, which has to be prepared first)

from .comparison import Comparison, Derivation, compare, in_double, record
from .torch_architectures import WRITTEN
from .torch_networks import NETWORKS, Network

PICTURES = 3
"""A ReLU that rounding turns differs from picture to picture; a wrong rule does not."""

ROUNDING = 1e-5
"""A network that differs by more at every picture is compared in float64 as well."""


class FirstOutput(nn.Module):
    """A network's logits alone, where it answers with a dictionary or several tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.module(x)
        while not isinstance(answer, torch.Tensor):
            answer = answer["out"] if isinstance(answer, dict) else answer[0]
        return answer


def measured(network: Network) -> Iterator[Comparison]:
    """Build and export one network; differentiate it at several pictures."""
    torch.manual_seed(0)
    module = FirstOutput(_built(network)).eval()
    pictures = torch.randn(PICTURES, 1, *network.shape)
    _shake(module)
    with torch.no_grad():
        calibrate(module, torch.randn(8, *network.shape))
        weights = torch.randn(module(pictures[0]).shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _export(network, module, pictures[0], path)
        exporter = "export" if network.legacy_opset is None else "TorchScript"
        exporter += " (open batch)" if network.dynamic else ""
        in_float32 = [_derivation(module, x, weights) for x in pictures]
        module.double()
        found = []
        for x, single in zip(pictures, in_float32, strict=True):
            given = x.numpy(), weights.numpy()
            double = _derivation(module, x.double(), weights.double())
            found.append(compare(network.name, exporter, path, *given, double, single))
        if min(each.norm for each in found) > ROUNDING:
            _export(network, module, x.double(), path)
            found[-1] = replace(found[-1], exact=in_double(path, *given, double))
        yield from found


def _built(network: Network) -> nn.Module:
    name = network.architecture
    if network.library == "timm":
        return timm.create_model(name, pretrained=False, num_classes=20)
    if network.library == "written":
        return WRITTEN[name]()
    if network.library == "torchvision.segmentation":
        models = torchvision.models.segmentation
        return getattr(models, name)(weights=None, weights_backbone=None, num_classes=5)
    # GoogLeNet and Inception would otherwise draw their weights slowly.
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, **options)


@torch.no_grad()
def _shake(module: nn.Module) -> None:
    """Move parameters off the constants they start from, which would hide parts of the network.

    Layer scales of 1e-6, last normalisations of weight 0 and zero biases are such constants.
    """
    for parameter in module.parameters():
        if parameter.numel() > 1 and (parameter == parameter.flatten()[0]).all():
            start = parameter.flatten()[0].item()
            centre = 0.5 if 0 < start < 0.2 else start
            parameter.copy_(centre + 0.2 * torch.randn_like(parameter))


def _export(network: Network, module: nn.Module, x: torch.Tensor, path: Path) -> None:
    names = {"input_names": ["x"], "output_names": ["y"]}
    if network.legacy_opset is not None:
        axes = {"x": {0: "batch"}, "y": {0: "batch"}} if network.dynamic else None
        opset = network.legacy_opset
        torch.onnx.export(
            module, (x,), path, dynamo=False, opset_version=opset, dynamic_axes=axes, **names
        )
        return
    shapes = ({0: torch.export.Dim("batch")},) if network.dynamic else None
    torch.onnx.export(
        module,
        (torch.cat([x, x]) if network.dynamic else x,),
        path,
        dynamo=True,
        external_data=False,
        dynamic_shapes=shapes,
        verbose=False,
        **names,
    )


def _derivation(module: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> Derivation:
    # Twice the same picture: for a batch of one, the backward pass of PyTorch's batch normalisation
    # (2.13, CPU) misreads a gradient that comes from transposed tokens, and answers wrongly.
    x = torch.cat([x, x]).requires_grad_()
    output = module(x)[:1]
    (gradient,) = torch.autograd.grad((output * weights).sum(), x)
    return Derivation(output.detach().numpy(), gradient[:1].numpy())


def main(results: Path, wanted: list[str]) -> None:
    """Measure the networks named (all, if none)."""
    torch.set_num_threads(2)
    warnings.simplefilter("ignore")
    chosen = [network for network in NETWORKS if not wanted or network.architecture in wanted]
    record(((network.name, measured(network)) for network in chosen), results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
