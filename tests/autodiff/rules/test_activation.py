"""Functions of one variable."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 3, 4)

SMOOTH = [
    case(op, SHAPE, opset=opset, runtime=op == "Erf")
    for op in ("Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Exp", "Neg")
    for opset in (11, NEWEST)
]
KINKED = [case(op, SHAPE, dynamic=((0,), (0, 1, 2))) for op in ("Relu", "Abs", "Selu")]
POSITIVE = [case(op, SHAPE, low=0.3, high=3.0, opset=13) for op in ("Log", "Sqrt", "Reciprocal")]
PARAMETERS = [
    case("ThresholdedRelu", SHAPE, alpha=0.6),
    case("ThresholdedRelu", SHAPE, low=0.0),
    case("LeakyRelu", SHAPE),
    case("LeakyRelu", SHAPE, alpha=0.3, opset=11),
    case("PRelu", SHAPE, np.array([[0.1], [0.2], [0.3]])),
    case("PRelu", SHAPE, (3, 1), wrt=1, dynamic=()),
    case("PRelu", SHAPE, (1,), wrt=1, dynamic=()),
    case("Elu", SHAPE),
    case("Elu", SHAPE, alpha=0.7),
    case("Celu", SHAPE, alpha=1.7),
    case("Selu", SHAPE, alpha=1.2, gamma=0.8),
    case("HardSigmoid", SHAPE, low=-4, high=4),
    case("HardSigmoid", SHAPE, alpha=0.4, beta=0.6),
    case("HardSwish", SHAPE, low=-5, high=5),
    case("Gelu", SHAPE, opset=20, runtime=True),
    case("Gelu", SHAPE, opset=NEWEST, approximate="tanh"),
    case("Mish", SHAPE),
    case("Shrink", SHAPE),
    case("Shrink", SHAPE, lambd=0.9, bias=0.4),
    case("Swish", SHAPE, opset=24),
    case("Swish", SHAPE, opset=24, alpha=1.5),
    case("Reciprocal", SHAPE, low=-3.0, high=-0.3),
]
CLIP = [
    case("Clip", SHAPE, np.array(-0.9), np.array(0.7), opset=opset) for opset in (11, 13, NEWEST)
] + [
    case("Clip", SHAPE, np.array(-0.9)),
    case("Clip", SHAPE, None, np.array(0.7)),
    case("Clip", SHAPE),
    case("Clip", SHAPE, np.array(-3e38), np.array(0.7)),
    # A bound of the run, and one beyond the other.
    case("Clip", SHAPE, Fed(np.array(-0.9)), np.array(0.7)),
    case("Clip", SHAPE, Fed(np.array(-0.9)), Fed(np.array(0.7)), wrt=1, dynamic=()),
    case("Clip", SHAPE, Fed(np.array(-0.9)), wrt=1, dynamic=()),
    case("Clip", SHAPE, Fed(np.array(0.9)), np.array(0.2), wrt=1, dynamic=(), runtime=True),
    case("Clip", SHAPE, np.array(-0.9), Fed(np.array(0.7)), wrt=2, dynamic=()),
    case("Clip", SHAPE, None, Fed(np.array(0.7)), wrt=2, opset=11, dynamic=()),
    case("Clip", SHAPE, np.array(0.9), Fed(np.array(0.2)), wrt=2, dynamic=(), runtime=True),
]

CASES = [*SMOOTH, *KINKED, *POSITIVE, *PARAMETERS, *CLIP]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
