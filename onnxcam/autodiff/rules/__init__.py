"""The vjp of every operator, one small file per family, from the trivial to the tricky."""

from onnxcam.autodiff.rules import (
    activation,
    arithmetic,
    attention,
    blocks,
    convolution,
    linear,
    normalization,
    padding,
    pooling,
    reduction,
    resampling,
    scatter,
    selection,
    structure,
    trigonometry,
    zero,
)

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "blocks",
    "convolution",
    "linear",
    "normalization",
    "padding",
    "pooling",
    "reduction",
    "resampling",
    "scatter",
    "selection",
    "structure",
    "trigonometry",
    "zero",
]
