"""Record what a vision transformer's attentions say: rollout, Chefer's relevance and LeGrad.

The network, its picture and classes are those of a recording that exists already; the maps are
computed from whole matrices with hooks and autograd, in float64, and written beside it as
`attention.npz`.

From scripts/: python -m references.attention
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from .derivation import CONDITIONING, distance, nudges
from .from_torch import NETWORKS
from .rebuild import RECORDINGS, read

NAME = "timm_vit_tiny"
DISCARD = 0.5


def main() -> None:
    """Derive the maps, see that rounding hardly moves them, and write them."""
    reference = read(NAME)
    module = NETWORKS[NAME]().module
    exact = maps(module, reference.x, reference.classes, torch.float64)
    single = maps(module, reference.x, reference.classes, torch.float32)
    nudged = [
        maps(module, x, reference.classes, torch.float64) for x in nudges(reference.x, count=2)
    ]
    for name, value in exact.items():
        drift = max(distance(other[name], value) for other in (single, *nudged))
        print(f"{name}: {value.shape}, drift {drift:.1e}")
        if drift > CONDITIONING:
            raise ValueError(f"{name} moves by {drift:.1e} under rounding")
    stored: dict[str, Any] = {name: value.astype(np.float32) for name, value in exact.items()}
    np.savez_compressed(RECORDINGS / NAME / "attention.npz", **stored)


def maps(
    module: nn.Module, x: np.ndarray, classes: list[int], dtype: torch.dtype
) -> dict[str, np.ndarray]:
    """Every map (N, h, w), by method."""
    module = copy.deepcopy(module).to(dtype)
    attentions: list[torch.Tensor] = []
    tokens: list[torch.Tensor] = []
    for block in module.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda *call: attentions.append(call[-1]))
        block.register_forward_hook(lambda *call: tokens.append(call[-1]))
    logits = module(torch.from_numpy(x).to(dtype))

    def score(values: torch.Tensor) -> torch.Tensor:
        return values[range(len(x)), classes].sum()

    gradients = torch.autograd.grad(score(logits), attentions, retain_graph=True)
    sensitivities = [
        torch.autograd.grad(
            score(module.forward_head(module.norm(own))), attention, retain_graph=True
        )[0]
        for own, attention in zip(tokens, attentions, strict=True)
    ]
    found = {
        "rollout": rollout([attention.mean(1) for attention in attentions]),
        "rollout max": rollout([without_small(attention.amax(1)) for attention in attentions]),
        "chefer": relevance(
            [
                (gradient * attention).clamp(min=0).mean(1)
                for gradient, attention in zip(gradients, attentions, strict=True)
            ]
        ),
        "legrad": torch.stack(
            [gradient.clamp(min=0).mean((1, 2)) for gradient in sensitivities]
        ).mean(0),
    }
    side = module.patch_embed.grid_size
    return {
        name: value[:, 1:].detach().reshape(len(x), *side).numpy() for name, value in found.items()
    }


def rollout(attentions: list[torch.Tensor]) -> torch.Tensor:
    """The class token's row of the product of (A + I) / 2, rows normalised."""
    eye = torch.eye(attentions[0].shape[-1], dtype=attentions[0].dtype)
    product = eye
    for attention in attentions:
        mixed = (attention + eye) / 2
        product = mixed / mixed.sum(-1, keepdim=True) @ product
    return product[:, 0]


def relevance(weighted: list[torch.Tensor]) -> torch.Tensor:
    """The class token's row of R, R += A R."""
    total = torch.eye(weighted[0].shape[-1], dtype=weighted[0].dtype).expand_as(weighted[0])
    for attention in weighted:
        total = total + attention @ total
    return total[:, 0]


def without_small(attention: torch.Tensor) -> torch.Tensor:
    """The smallest entries of each picture's matrix set to zero, never the class token's own."""
    flat = attention.flatten(1).clone()
    small = flat.topk(int(flat.shape[1] * DISCARD), -1, largest=False).indices
    first = flat[:, 0].clone()
    flat.scatter_(1, small, 0)
    flat[:, 0] = first
    return flat.reshape(attention.shape)


if __name__ == "__main__":
    main()
