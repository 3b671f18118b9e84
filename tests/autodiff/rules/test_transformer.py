"""Parts of transformers as one operator."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

BEYOND = NEWEST + 1
"""Operators of this opset and later are run by the reference evaluator."""

POSITIONS = np.array([[0, 1, 2], [3, 0, 5]])
HEADS = (2, 2, 3, 4)
PACKED = (2, 3, 12)

GATED = [
    case("SwiGLU", (2, 3, 4), (2, 3, 4), wrt=wrt, opset=BEYOND + 1, dynamic=((0,), (0, 1)), **attrs)
    for wrt, attrs in ((0, {}), (1, {}), (0, {"alpha": 1.7}))
]
ROTARY = [
    case("RotaryEmbedding", HEADS, (6, 2), (6, 2), POSITIONS, wrt=wrt, opset=23, **attrs)
    for wrt, attrs in ((0, {}), (1, {}), (2, {}), (0, {"interleaved": 1}))
] + [
    case("RotaryEmbedding", HEADS, (2, 3, 2), (2, 3, 2), wrt=1, opset=NEWEST, interleaved=1),
    case(
        "RotaryEmbedding",
        HEADS,
        (6, 1),
        (6, 1),
        Fed(POSITIONS),
        rotary_embedding_dim=2,
        opset=24,
        dynamic=((2,),),
    ),
    case(
        "RotaryEmbedding",
        PACKED,
        (2, 3, 3),
        (2, 3, 3),
        num_heads=2,
        opset=23,
        dynamic=((0,), (0, 1)),
    ),
    case(
        "RotaryEmbedding",
        PACKED,
        (2, 3, 2),
        (2, 3, 2),
        wrt=2,
        num_heads=2,
        rotary_embedding_dim=4,
        interleaved=1,
        opset=23,
    ),
]
CONVOLUTIONS = [
    case(
        "CausalConvWithState",
        (2, 3, 5),
        (3, 1, 4),
        *given,
        wrt=wrt,
        of=of,
        outputs=2,
        opset=BEYOND,
        dynamic=dynamic,
        runtime="activation" in attrs,  # which the evaluator computes in float32
        **attrs,
    )
    for given, wrt, of, dynamic, attrs in (
        ((), 0, 0, ((0,), (0, 2)), {}),
        ((), 0, 1, ((0,),), {}),
        (((3,),), 1, 0, (), {"activation": "silu"}),
        (((3,),), 2, 0, (), {"activation": "swish"}),
        ((None, (2, 3, 3)), 0, 0, ((0,), (0, 2)), {"activation": "silu"}),
        ((None, (2, 3, 3)), 3, 0, ((0,),), {}),
        ((None, (2, 3, 3)), 3, 1, ((0,),), {}),
    )
] + [
    case(
        "CausalConvWithState",
        (2, 3, 2),
        (3, 1, 4),
        (3,),
        (2, 3, 3),
        wrt=3,
        of=1,
        outputs=2,
        opset=BEYOND,
    ),
    case("CausalConvWithState", (2, 3, 2), (3, 1, 1), outputs=2, opset=BEYOND),
]

CASES = [*GATED, *ROTARY, *CONVOLUTIONS]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
