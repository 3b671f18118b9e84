"""Why is this map empty? A map without information is never handed over in silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRAIGHT_THROUGH = (
    "the model is quantised: behind this layer rounding counts as the identity (straight-through), "
    "so the gradient is that of the numbers before rounding; onnxcam check says how near it is"
)

SATURATED = 1e-4
"""A probability this close to 0 or 1 has hardly any slope left."""


@dataclass(frozen=True)
class Evidence:
    """What a map was computed from, for one picture and one target.

    `x` is what the model was fed, `activations` are the target layer's, (channels and positions in
    any order), `gradient` is theirs, None for a method that takes none. `differentiated` is
    "logit" or "probability"; `remark` what the target itself has to say.
    """

    x: np.ndarray
    score: float
    probability: float
    activations: np.ndarray
    spatial: tuple[int, ...]
    gradient: np.ndarray | None
    differentiated: str = "logit"
    remark: str | None = None


def is_empty(raw: np.ndarray) -> bool:
    """Whether a map says nothing: not finite, nowhere positive, or the same everywhere."""
    return not np.isfinite(raw).all() or max(float(raw.max()), 0) <= max(float(raw.min()), 0)


def diagnose(raw: np.ndarray, seen: Evidence) -> str:
    """One sentence on why a raw map is empty, from what it was computed from."""
    return (
        _not_finite(raw, seen)
        or _dead(seen)
        or _without_slope(seen)
        or _nowhere_positive(raw, seen)
        or _the_same_everywhere(raw, seen)
    )


def _not_finite(raw: np.ndarray, seen: Evidence) -> str | None:
    if not np.isfinite(seen.x).all():
        return "the map is not finite: the model's input is not; check the preprocessing"
    if not np.isfinite(seen.activations).all():
        return (
            f"the map is not finite: the model itself yields NaN or infinity at the target layer "
            f"for this picture; check the preprocessing (the input {_range(seen.x)}), or the "
            f"model's fp16 range"
        )
    if not np.isfinite(seen.score):
        return (
            "the map is not finite: the model itself yields NaN or infinity behind the target "
            "layer, its weights or its fp16 range are at fault"
        )
    if seen.gradient is not None and not np.isfinite(seen.gradient).all():
        return (
            "the map is not finite: the gradient overflows; choose a layer nearer to the output "
            "with --layer"
        )
    if not np.isfinite(raw).all():
        return (
            "the map is not finite: the method's own arithmetic overflows at this layer; choose "
            "another --method or --layer"
        )
    return None


def _dead(seen: Evidence) -> str | None:
    if seen.activations.any():
        return None
    return (
        f"the map is empty: all activations of the target layer are zero for this picture; "
        f"check the preprocessing (the input {_range(seen.x)}), or choose another --layer"
    )


def _without_slope(seen: Evidence) -> str | None:
    if seen.remark is not None:
        return f"the map is empty: {seen.remark}"
    if seen.gradient is None or seen.gradient.any():
        return None
    p = seen.probability
    if seen.differentiated == "probability" and min(p, 1 - p) < SATURATED:
        return (
            f"the map is empty: the probability is saturated at {p:.6f}, so its "
            f"gradient vanishes; explain the logit instead (score='logit')"
        )
    return (
        "the map is empty: the score's gradient is zero at the target layer for this "
        "picture (dead units behind it); choose a layer nearer to the output with --layer"
    )


def _nowhere_positive(raw: np.ndarray, seen: Evidence) -> str | None:
    if raw.max() > 0:
        return None
    if seen.gradient is not None or raw.any():
        return (
            "the map is empty: every position's weighted sum is negative, nothing at this layer "
            "speaks for the target (the map shows no more than that); try another target or --layer"
        )
    return (
        "the map is zero everywhere: nothing that the method does to the picture or the layer "
        "speaks for the target; try another --method or --layer"
    )


def _the_same_everywhere(raw: np.ndarray, seen: Evidence) -> str:
    if raw.size == 1:
        return (
            "the map is the same everywhere: the layer has one position only; choose one in front "
            "of the pooling with --layer"
        )
    if _is_constant(seen.x):
        return "the map is the same everywhere, as the picture is: it has one colour"
    if (np.ptp(seen.activations, axis=seen.spatial) == 0).all():
        return (
            f"the map is the same everywhere: the layer's activations are, for this picture; check "
            f"the preprocessing (the input {_range(seen.x)}), or choose another --layer"
        )
    return (
        "the map is the same everywhere: it tells no place from another; choose another --method "
        "or --layer"
    )


def _is_constant(x: np.ndarray) -> bool:
    """Whether every channel, wherever it lies, has one value."""
    x = x.reshape(x.shape[-3:]) if x.ndim > 3 else x
    return any(
        bool((np.ptp(x.reshape(x.shape[0], -1), axis=1) == 0).all())
        for x in (x, np.moveaxis(x, -1, 0))
    )


def _range(x: np.ndarray) -> str:
    return f"ranges from {float(x.min()):.4g} to {float(x.max()):.4g}"
