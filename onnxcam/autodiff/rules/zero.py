"""Operators through which nothing flows: their output is constant almost everywhere."""

from __future__ import annotations

from onnxcam.autodiff.registry import zero

zero("Shape", "Size", "ConstantOfShape", "NonZero", "EyeLike", "RandomNormalLike")
zero("RandomUniformLike", "Bernoulli", "Multinomial", "OneHot", "Range")
zero("ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
zero("Not", "And", "Or", "Xor", "IsNaN", "IsInf")
zero("Floor", "Ceil", "Round", "Sign")
zero("NonMaxSuppression", "Unique")
