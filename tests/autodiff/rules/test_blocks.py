"""Blocks of positions: rearranged, repeated, masked."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 3, 4)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


BLOCKS = [
    case("DepthToSpace", (2, 8, 2, 3), blocksize=2, dynamic=((0,), (0, 2, 3))),
    case("DepthToSpace", (2, 8, 2, 3), blocksize=2, mode="CRD", opset=13),
    case("DepthToSpace", (1, 9, 2, 2), blocksize=3, mode="DCR", opset=11),
    case("SpaceToDepth", (2, 3, 4, 6), blocksize=2, dynamic=((0,), (0, 2, 3))),
    case("SpaceToDepth", (2, 1, 3, 6), blocksize=3, opset=11),
]
TILE = [
    case("Tile", SHAPE, ints(1, 2, 3)),
    case("Tile", SHAPE, ints(2, 1, 1), opset=11, dynamic=((0,), (0, 1, 2))),
    case("Tile", SHAPE, ints(1, 1, 2), opset=NEWEST, dynamic=((0,), (0, 1, 2))),
    case("Tile", (2, 1, 4), ints(1, 3, 1), opset=13),
    case("Tile", SHAPE, ints(1, 1, 1)),
    case("Tile", SHAPE, Fed(ints(1, 2, 3)), opset=11, dynamic=((0,), (0, 1, 2))),
    case("Tile", (2, 1, 4), Fed(ints(2, 3, 1)), dynamic=()),
]
TRILU = [
    case("Trilu", SHAPE, opset=14, dynamic=((0,), (0, 1, 2))),
    case("Trilu", SHAPE, upper=0),
    case("Trilu", SHAPE, np.array(1, dtype=np.int64), upper=1),
    case("Trilu", (3, 4), np.array(-1, dtype=np.int64), upper=0, dynamic=()),
]

LENGTHS = ints(2, 4, 1)
REVERSED = [
    case("ReverseSequence", (4, 3, 2), LENGTHS, opset=11, dynamic=((0,), (0, 2))),
    case("ReverseSequence", (3, 4), Fed(LENGTHS), time_axis=1, batch_axis=0, dynamic=((1,),)),
]
CENTRED = [
    case("CenterCropPad", (2, 5, 4), ints(2, 3, 7), dynamic=()),
    case("CenterCropPad", (2, 4, 5), ints(7, 2), axes=[-1, 1], dynamic=((0,), (0, 1, 2))),
    case("CenterCropPad", (2, 4, 5), Fed(ints(1, 8)), axes=[1, 2], opset=NEWEST),
]

CASES = [*BLOCKS, *TILE, *TRILU, *REVERSED, *CENTRED]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
