"""Operators through which nothing flows, each group with its reason."""

from __future__ import annotations

from onnxcam.autodiff.registry import refuse, zero

zero("it depends on shapes only", "Shape", "Size", "ConstantOfShape", "EyeLike")
zero("it is drawn at random", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
zero("it is drawn at random", "RandomNormal", "RandomUniform")
zero("it has no input", "Constant", "SequenceEmpty")
zero("its output is an index", "ArgMax", "ArgMin", "NonZero", "NonMaxSuppression")
zero("its output is a truth value", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
zero("its output is a truth value", "Not", "And", "Or", "Xor", "IsNaN", "IsInf")
zero("its output is a truth value", "OptionalHasElement", "RegexFullMatch")
zero("its output is a number of elements", "SequenceLength")
zero("it is constant between jumps", "Floor", "Ceil", "Round", "Sign", "Hardmax")
zero("its bounds are rounded to whole frequencies", "MelWeightMatrix")
zero("it works on integers only", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor")
zero("its input is an integer", "BlackmanWindow", "HammingWindow", "HannWindow")
zero(
    "its input is text or bytes", "StringConcat", "StringNormalizer", "StringSplit", "ImageDecoder"
)
zero("it counts words", "TfIdfVectorizer")

refuse("it reads the bits of a number as another number", "BitCast")
refuse(
    "sequences can be followed only where they are built and read at stored positions",
    "SequenceConstruct",
    "SequenceAt",
    "SequenceInsert",
    "SequenceErase",
    "SplitToSequence",
    "ConcatFromSequence",
)
refuse("its body runs once for every element of a sequence", "SequenceMap")
refuse("whether it holds a value only the run knows", "Optional", "OptionalGetElement")
