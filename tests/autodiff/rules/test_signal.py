"""Fourier transforms: real and complex, one-sided, of another length than the signal's."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import Case, Fed, case


def scalar(value: int) -> np.ndarray:
    return np.array(value, dtype=np.int64)


BEFORE_20 = [
    case("DFT", (2, 6, 1), opset=17, dynamic=((0,), (0, 1))),
    case("DFT", (2, 5, 2), opset=17, inverse=1, dynamic=((0,), (0, 1))),
    case("DFT", (2, 6, 1), opset=17, onesided=1, dynamic=((0,), (0, 1))),
    case("DFT", (2, 5, 1), scalar(7), opset=17, onesided=1),
    case("DFT", (2, 3, 6, 2), scalar(4), opset=19, axis=2, dynamic=((0,), (0, 1, 2))),
    case("DFT", (2, 3, 6, 2), scalar(4), opset=19, axis=1),
]
FROM_20 = [
    case("DFT", (2, 6, 1), opset=20, dynamic=((0,), (0, 1))),
    case("DFT", (2, 6, 1), opset=20, inverse=1),
    case("DFT", (2, 3, 5, 2), None, scalar(1), opset=20, dynamic=((0,), (0, 1, 2))),
    case("DFT", (2, 3, 5, 2), scalar(4), scalar(-3), opset=20, inverse=1),
    case("DFT", (2, 6, 1), scalar(4), scalar(-2), opset=20, onesided=1),
    case("DFT", (2, 5, 1), Fed(scalar(8)), scalar(1), opset=20, onesided=1),
    case("DFT", (2, 5, 2), Fed(scalar(3)), opset=20, dynamic=((0,), (0, 1))),
]
INVERSE_OF_ONESIDED = [
    case("DFT", (2, 4, 2), *length, opset=20, onesided=1, inverse=1, dynamic=((0,), (0, 1)))
    for length in ((), (scalar(7),), (scalar(9),), (Fed(scalar(7)),))
]
STFT = [
    case("STFT", (2, 16, 1), scalar(4), (8,), opset=17),
    case("STFT", (2, 16, 1), scalar(4), (8,), opset=17, wrt=2),
    case("STFT", (2, 17, 1), scalar(3), (8,), scalar(8), opset=20, onesided=0),
    case("STFT", (2, 15, 1), scalar(5), None, scalar(4), opset=17, dynamic=((0,), (0, 1))),
    case("STFT", (2, 12, 2), scalar(6), (6,), opset=18, onesided=0),
    case("STFT", (2, 9, 1), scalar(1), np.hanning(6), opset=20, dynamic=((0,), (0, 1))),
]

CASES = [*BEFORE_20, *FROM_20, *INVERSE_OF_ONESIDED, *STFT]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
