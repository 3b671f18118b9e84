"""Matrix products."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case

WEIGHT = np.linspace(-1, 1, 20).reshape(4, 5)

MATMUL = [
    case("MatMul", a, b, wrt=wrt, opset=opset, dynamic=dynamic)
    for a, b, dynamic, opset in (
        ((3, 4), (4, 5), ((0,),), 11),
        ((2, 3, 4), (2, 4, 5), ((0,),), 18),
        ((2, 3, 4), (4, 5), ((0,), (0, 1)), NEWEST),
        ((3, 4), (2, 4, 5), (), 18),
        ((2, 1, 3, 4), (1, 2, 4, 5), (), 18),
        ((4,), (4,), (), 18),
        ((4,), (4, 5), (), 18),
        ((4,), (2, 4, 5), (), 18),
        ((3, 4), (4,), ((0,),), 13),
        ((2, 3, 4), (4,), ((0,), (0, 1)), 18),
        ((1, 4), (4, 1), (), 18),
    )
    for wrt in (0, 1)
    if wrt == 0 or len(b) > 0
]
MATMUL = [
    each if each.wrt == 0 else case(each.op, *each.inputs, wrt=1, opset=each.opset, dynamic=())
    for each in MATMUL
]
GEMM = [
    case(
        "Gemm",
        (4, 3) if trans_a else (3, 4),
        (5, 4) if trans_b else (4, 5),
        (5,),
        transA=trans_a,
        transB=trans_b,
        alpha=alpha,
        beta=2.0,
        wrt=wrt,
        opset=opset,
        dynamic=() if trans_a or wrt else ((0,),),
    )
    for trans_a in (0, 1)
    for trans_b in (0, 1)
    for wrt, alpha, opset in ((0, 1.0, 11), (0, 0.5, NEWEST), (1, 0.5, 18), (2, 0.5, 13))
]
BIAS = [
    case("Gemm", (3, 4), WEIGHT, bias, wrt=2, beta=beta, dynamic=())
    for bias, beta in (((3, 5), 1.0), ((3, 1), 0.5), ((1, 5), 1.0), ((1,), 1.0), ((), 1.0))
]
NO_BIAS = [case("Gemm", (3, 4), WEIGHT)]

CASES = [*MATMUL, *GEMM, *BIAS, *NO_BIAS]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
