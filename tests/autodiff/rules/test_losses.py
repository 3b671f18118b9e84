"""Losses: weighted, with labels that are ignored, reduced or not."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

LABELS = np.array([2, 0, 1, 2])
PIXELS = np.array([[[0, 2], [1, 1]], [[2, 2], [0, 1]]])
WEIGHTS = np.array([0.5, 2.0, 1.2])


def nll(*inputs: object, **given: object) -> Case:
    """The labels' batch is stored, so that the scores' cannot vary."""
    return case("NegativeLogLikelihoodLoss", *inputs, dynamic=(), **given)


NLL = (
    [
        nll((4, 3), LABELS, opset=opset, reduction=reduction)
        for reduction, opset in (("none", 12), ("sum", 13), ("mean", NEWEST))
    ]
    + [nll((4, 3), Fed(LABELS), (3,), wrt=wrt, opset=13) for wrt in (0, 2)]
    + [
        nll((2, 3, 2, 2), PIXELS, WEIGHTS, ignore_index=2),
        nll((2, 3, 2, 2), PIXELS, ignore_index=1, reduction="none"),
        nll((2, 3, 2, 2), PIXELS - 1, WEIGHTS, ignore_index=-1),
    ]
)
CROSS_ENTROPY = (
    [
        case("SoftmaxCrossEntropyLoss", (4, 3), LABELS, reduction=reduction, opset=opset)
        for reduction, opset in (("none", 12), ("sum", 13), ("mean", NEWEST))
    ]
    + [
        case(
            "SoftmaxCrossEntropyLoss", (4, 3), Fed(LABELS), (3,), wrt=wrt, opset=13, dynamic=dynamic
        )
        for wrt, dynamic in ((0, ((0,),)), (2, ()))
    ]
    + [
        case("SoftmaxCrossEntropyLoss", (2, 3, 2, 2), PIXELS, WEIGHTS, ignore_index=2, opset=12),
        case("SoftmaxCrossEntropyLoss", (2, 3, 2, 2), PIXELS, outputs=2, of=1),
        case(
            "SoftmaxCrossEntropyLoss", (4, 3), LABELS.astype(np.int32), outputs=2, reduction="sum"
        ),
    ]
)

CASES = [*NLL, *CROSS_ENTROPY]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
