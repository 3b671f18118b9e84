"""What the libraries for PyTorch share: the module, and how tokens become a grid."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.networks import build
from bench.task import Place, Task

Reshape = Callable[[torch.Tensor], torch.Tensor]


def module(task: Task) -> torch.nn.Module:
    torch.set_num_threads(task.threads)
    return build(task.network).to(task.device)


def image(task: Task) -> torch.Tensor:
    return torch.from_numpy(task.input).to(task.device)


def reshape(place: Place, shape: torch.Size) -> Reshape | None:
    """(N, tokens, C) or (N, H, W, C) to (N, C, H, W), as pytorch-grad-cam's guides do it."""
    if place.grid is not None:
        height, width, ahead = place.grid

        def tokens(x: torch.Tensor) -> torch.Tensor:
            x = x[:, ahead:]
            return x.reshape(x.shape[0], height, width, -1).permute(0, 3, 1, 2)

        return tokens
    if len(shape) == 4 and shape[1] == shape[2] != shape[3]:  # channels last, as in Swin
        return lambda x: x.permute(0, 3, 1, 2)
    return None


def output_of(network: torch.nn.Module, path: str, x: torch.Tensor) -> torch.Tensor:
    """What a submodule gives for an input."""
    seen: list[torch.Tensor] = []
    hook = network.get_submodule(path).register_forward_hook(
        lambda _, __, out: seen.append(out.clone())  # what follows may change it in place
    )
    try:
        with torch.no_grad():
            network(x)
    finally:
        hook.remove()
    return seen[0]
