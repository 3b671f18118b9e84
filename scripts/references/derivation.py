"""What a framework says about a network: the common side of the three of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .inputs import Input
from .recipe import Draw

MIN_POSITIVE = 0.15
"""Share of a map's cells that must be above zero, else the ReLU left too little to compare."""

MIN_CONTRAST = 0.3
"""How far a map must fall below its maximum, else nothing in it depends on the place."""

CONDITIONING = 3e-5
"""How far a map may move when computed in float32, or from an input off by a rounding error.

A wider gap would say more about rounding than about gradients; it is cured in the draw of the
weights or in the choice of picture, not in the tolerance."""


@dataclass(frozen=True)
class Layer:
    """A layer as its framework names it, with the axes of its output.

    `axes` is "NCHW", "NHWC", or "NTC" for a class token followed by a square grid of tokens.
    """

    path: str
    axes: str


@dataclass(frozen=True)
class Backward:
    """One backward pass: activations and d logit[class] / d activations, by layer path."""

    logits: np.ndarray
    activations: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


class Source(Protocol):
    """A network in its framework, ready to be exported and to be differentiated."""

    layers: Sequence[Layer]
    draws: Sequence[Draw]
    """The parameters it was given; empty where the weights are published or trained."""
    published: str | None
    """The committed model this network is, relative to the repository, if it is one of those."""
    input: Input
    precision: str
    """The finest precision `backward` can work in."""

    def export(self, path: Path) -> None:
        """Write the network with the framework's ordinary exporter, batch left open."""

    def output(self, x: np.ndarray) -> np.ndarray:
        """What the exported model shall answer (float32)."""

    def backward(self, x: np.ndarray, classes: Sequence[int], dtype: str) -> Backward:
        """Differentiate logit[classes[i]] of picture i, in the precision `dtype`."""


@dataclass(frozen=True)
class Derivation:
    """The reference values: `maps[path]` (N, h, w), `drift[path]` its sensitivity to rounding."""

    x: np.ndarray
    classes: list[int]
    output: np.ndarray
    activations: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]
    drift: dict[str, float]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the largest value of b."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def spatial(values: np.ndarray, axes: str) -> np.ndarray:
    """Bring activations or gradients to (N, H, W, C), without the class token."""
    if axes == "NCHW":
        return np.moveaxis(values, 1, -1)
    if axes == "NTC":
        side = round((values.shape[1] - 1) ** 0.5)
        return values[:, 1:].reshape(len(values), side, side, -1)
    return values


def gradcam(backward: Backward, layer: Layer) -> np.ndarray:
    """Raw Grad-CAM (N, h, w), in the precision of the backward pass."""
    activations = spatial(backward.activations[layer.path], layer.axes)
    weights = spatial(backward.gradients[layer.path], layer.axes).mean(axis=(1, 2))
    return np.maximum(np.einsum("nhwc,nc->nhw", activations, weights), 0)


def derive(source: Source) -> Derivation:
    """Choose classes that leave something to see, and take their maps in the finest precision."""
    x = source.input.values()
    classes = choose_classes(source, x)
    exact = source.backward(x, classes, source.precision)
    maps = {layer.path: gradcam(exact, layer) for layer in source.layers}
    disturbed = [
        source.backward(x, classes, "float32"),
        *(source.backward(nudged, classes, source.precision) for nudged in nudges(x)),
    ]
    return Derivation(
        x=x,
        classes=classes,
        output=source.output(x),
        activations=exact.activations,
        maps={path: cam.astype(np.float32) for path, cam in maps.items()},
        drift={
            layer.path: max(
                distance(gradcam(other, layer), maps[layer.path]) for other in disturbed
            )
            for layer in source.layers
        },
    )


def nudges(x: np.ndarray, count: int = 4) -> list[np.ndarray]:
    """The input off by about one rounding error: another processor's arithmetic, in effect."""
    stream = np.random.RandomState(0)
    return [x + 1e-6 * stream.standard_normal(x.shape) for _ in range(count)]


def choose_classes(source: Source, x: np.ndarray, tries: int = 25) -> list[int]:
    """For each picture its best class whose maps are positive in enough cells, all different."""
    logits = source.backward(x, [0] * len(x), "float32").logits
    ranking = np.argsort(-logits, axis=1)
    chosen: dict[int, int] = {}
    for candidates in ranking.T[:tries]:
        backward = source.backward(x, candidates.tolist(), "float32")
        cams = [gradcam(backward, layer) for layer in source.layers]
        for i, candidate in enumerate(candidates.tolist()):
            fresh = i not in chosen and candidate not in chosen.values()
            if fresh and all(telling(cam[i]) for cam in cams):
                chosen[i] = candidate
        if len(chosen) == len(x):
            return [chosen[i] for i in range(len(x))]
    raise ValueError(f"no class leaves a visible map after {tries} tries")


def telling(cam: np.ndarray) -> bool:
    """Whether a map (h, w) is visible in enough cells, and differs between them."""
    visible = (cam > 1e-3 * cam.max()).mean()
    return bool(visible >= MIN_POSITIVE and cam.min() <= (1 - MIN_CONTRAST) * cam.max())
