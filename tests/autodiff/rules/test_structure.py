"""Operators that move, join and cut values."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case
from onnx import TensorProto

SHAPE = (2, 3, 4)
IMAGE = (2, 4, 3, 3)
ALL = ((0,), (0, 1, 2))


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


SAME = [
    case("Identity", SHAPE, dynamic=ALL),
    case("Dropout", SHAPE, opset=11, ratio=0.3),
    case("Dropout", SHAPE, outputs=2, opset=13),
    case("Cast", SHAPE, to=TensorProto.DOUBLE, dynamic=ALL),
    case("CastLike", SHAPE, np.zeros(1), opset=19),
    case("Transpose", SHAPE, dynamic=ALL),
    case("Transpose", SHAPE, perm=[1, 2, 0], dynamic=ALL),
    case("Expand", (3, 1), ints(2, 3, 4), dynamic=()),
    case("Expand", SHAPE, ints(1, 1, 1), dynamic=ALL),
    case("Expand", (2, 1, 4), ints(3, 1)),
]
RESHAPE = [
    case("Reshape", SHAPE, ints(0, -1)),
    case("Reshape", SHAPE, ints(-1, 4), dynamic=()),
    case("Reshape", SHAPE, ints(24), dynamic=()),
    case("Reshape", SHAPE, ints(2, 3, 2, 2), dynamic=()),
    case("Reshape", SHAPE, ints(4, 6), dynamic=()),
    case("Reshape", IMAGE, ints(0, 4, -1), dynamic=((0,), (0, 2, 3))),
    case("Reshape", IMAGE, ints(0, 2, 2, 9)),
    case("Reshape", IMAGE, ints(0, 0, -1), opset=11, dynamic=((0,), (0, 2, 3))),
    case("Flatten", IMAGE),
    case("Flatten", IMAGE, axis=0, opset=11),
    case("Flatten", IMAGE, axis=-1, dynamic=((0,), (0, 2, 3))),
    case("Flatten", (2, 4, 1, 1), opset=NEWEST),
    case("Squeeze", (2, 1, 4), axes=[1], opset=11),
    case("Squeeze", (2, 1, 4), ints(1), opset=13, dynamic=((0,), (0, 2))),
    case("Squeeze", (2, 1, 4, 1), ints(-1, 1), opset=NEWEST),
    case("Squeeze", (2, 1, 4, 1), opset=18),
    case("Unsqueeze", SHAPE, axes=[1, 4], opset=11),
    case("Unsqueeze", SHAPE, ints(0, -1), opset=13, dynamic=ALL),
]
JOIN = [
    case("Concat", SHAPE, SHAPE, axis=1, wrt=1, dynamic=((0,), (0, 2))),
    case("Concat", SHAPE, (2, 2, 4), (2, 1, 4), axis=-2, wrt=1, opset=11, dynamic=((0,),)),
    case("Concat", SHAPE, (2, 1, 4), axis=1, dynamic=((0,),)),
    case("Concat", SHAPE, (2, 3, 1), axis=2, wrt=0, opset=NEWEST, dynamic=((0,), (0, 2))),
    case("Concat", SHAPE, SHAPE, axis=2, wrt=1, opset=13, dynamic=((0,), (0, 2))),
    case("Concat", (4, 3), (4, 3), axis=0, wrt=1, dynamic=((0,),)),
    case("Concat", (4, 3), (4, 3), (4, 3), axis=0, wrt=1, opset=11, dynamic=((0,), (0, 1))),
    case("Concat", SHAPE, (2, 3, 4), axis=1, wrt=1, opset=12, dynamic=((1,), (0, 1, 2))),
    case("Concat", SHAPE, axis=0),
]
SPLIT = [
    case("Split", SHAPE, split=[1, 3], axis=2, outputs=2, of=of, opset=11) for of in (0, 1)
] + [
    case("Split", SHAPE, ints(1, 2), axis=1, outputs=2, opset=13, dynamic=((0,), (0, 2))),
    case("Split", SHAPE, ints(1, 2, 1), axis=-1, outputs=3, of=1, opset=13),
    case("Split", SHAPE, axis=2, outputs=2, of=1, opset=13),
    case("Split", SHAPE, axis=1, outputs=2, of=1, num_outputs=2),
    case("Split", (2, 3, 5), axis=2, outputs=3, of=2, num_outputs=3, opset=NEWEST),
]
CASES = [*SAME, *RESHAPE, *JOIN, *SPLIT]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
