"""The vjp of every operator, one small file per family, from the trivial to the tricky."""

from onnxcam.autodiff.rules import (
    activation,
    arithmetic,
    attention,
    convolution,
    linear,
    normalization,
    pooling,
    reduction,
    resampling,
    selection,
    structure,
    zero,
)

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "linear",
    "normalization",
    "pooling",
    "reduction",
    "resampling",
    "selection",
    "structure",
    "zero",
]
