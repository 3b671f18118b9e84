"""Operators through which nothing flows, each group with its reason."""

from __future__ import annotations

from onnxcam.autodiff.registry import zero

zero("it depends on shapes only", "Shape", "Size", "ConstantOfShape", "EyeLike")
zero("it is drawn at random", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
zero("its output is an index", "ArgMax", "ArgMin", "NonZero", "NonMaxSuppression", "Unique")
zero("its output is a truth value", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
zero("its output is a truth value", "Not", "And", "Or", "Xor", "IsNaN", "IsInf")
zero("it is constant between jumps", "Floor", "Ceil", "Round", "Sign", "OneHot", "Range")
