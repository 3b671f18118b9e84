"""Why is this map empty? A map without information is never handed over in silence."""

from __future__ import annotations

import numpy as np

STRAIGHT_THROUGH = (
    "the model is quantised: behind this layer rounding counts as the identity (straight-through), "
    "so the gradient is that of the numbers before rounding; onnxcam check says how near it is"
)

SATURATED = 1e-4
"""A probability this close to 0 or 1 has hardly any slope left."""


def is_empty(raw: np.ndarray) -> bool:
    """Whether a map says nothing: not finite, or the same everywhere."""
    return not np.isfinite(raw).all() or float(raw.max()) <= float(raw.min())


def diagnose(
    raw: np.ndarray,
    activations: np.ndarray,
    gradient: np.ndarray,
    probability: float,
    score: str,
) -> str:
    """One sentence on why a raw map is empty, from what it was computed from.

    `activations` and `gradient` are those of the target layer for this picture.
    """
    if not np.isfinite(activations).all():
        return (
            "the map is not finite: the model itself yields NaN or infinity at the target layer "
            "for this picture; check the preprocessing, or the model's fp16 range"
        )
    if not np.isfinite(raw).all() or not np.isfinite(gradient).all():
        return (
            "the map is not finite: the gradient overflows; choose a layer nearer to the output "
            "with --layer"
        )
    if not activations.any():
        return (
            "the map is empty: all activations of the target layer are zero for this picture; "
            "check the preprocessing, or choose another --layer"
        )
    if not gradient.any():
        if score == "probability" and min(probability, 1 - probability) < SATURATED:
            return (
                f"the map is empty: the probability is saturated at {probability:.6f}, so its "
                f"gradient vanishes; explain the logit instead (score='logit')"
            )
        return (
            "the map is empty: the class score's gradient is zero at the target layer for this "
            "picture (dead units behind it); choose a layer nearer to the output with --layer"
        )
    if not raw.any():
        return (
            "the map is empty: every position's weighted sum is negative, nothing at this layer "
            "speaks for the class (its ReLU removes what speaks against); try another class or "
            "--layer"
        )
    return (
        "the map is the same everywhere: it tells no place from another; choose a layer with more "
        "than one position with --layer"
    )
