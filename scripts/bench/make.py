"""A network's folder: its export, one input, and where its layers are in the exported file."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from references.locate import locate

from bench.contestants.torch_module import output_of, reshape
from bench.networks import NETWORKS, Network, build
from bench.task import CLASSES, INPUT, MODEL, PLACES, Place

OPSET = 17
"""The newest that every library here reads; PyTorch's older exporter writes it."""

MANY = 50
"""Classes that are looked for; no row explains more."""


def make(folder: Path) -> None:
    """Fill a network's folder, whose name is the network's."""
    name = folder.name
    network, module = NETWORKS[name], build(name)
    folder.mkdir(parents=True, exist_ok=True)
    one = torch.from_numpy(
        np.random.default_rng(0).standard_normal((1, *network.shape)).astype(np.float32)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        torch.onnx.export(
            module,
            (one,),
            folder / MODEL,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )
    np.save(folder / INPUT, one.numpy())
    located = _located(network, module, one, onnx.load(folder / MODEL))
    places = {name: asdict(place) for name, place in located.items()}
    known = places | {CLASSES: _telling(module, located, one)}
    # Last of all: a folder with it is whole.
    (folder / PLACES).write_text(json.dumps(known, indent=1) + "\n")


def _located(
    network: Network, module: torch.nn.Module, one: torch.Tensor, model: onnx.ModelProto
) -> dict[str, Place]:
    paths = network.layers.values()
    values = {path: output_of(module, path, one).numpy() for path in paths}
    tensors = locate(model, one.numpy(), values)
    return {
        name: Place(path, tensors[path], network.tokens) for name, path in network.layers.items()
    }


def _telling(module: torch.nn.Module, places: dict[str, Place], one: torch.Tensor) -> list[int]:
    """The best classes whose Grad-CAM has something positive at every layer."""
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        module.get_submodule(place.module).register_forward_hook(
            lambda _, __, out, name=name: outputs.__setitem__(name, out)
        )
        for name, place in places.items()
    ]
    (scores,) = module(one)
    for hook in hooks:
        hook.remove()
    shaped = {name: reshape(place, outputs[name].shape) for name, place in places.items()}
    told: list[int] = []
    for number in scores.argsort(descending=True).tolist():
        gradients = torch.autograd.grad(scores[number], list(outputs.values()), retain_graph=True)
        maps = [
            _map(shape(out), shape(gradient)) if (shape := shaped[name]) else _map(out, gradient)
            for (name, out), gradient in zip(outputs.items(), gradients, strict=True)
        ]
        if all(float(each.max()) > 0 for each in maps):
            told.append(number)
            if len(told) == MANY:
                break
    return told


def _map(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    space = tuple(range(2, activations.ndim))
    return (activations * gradients.mean(space, keepdim=True)).sum(1)
