"""Linear attention, by each of its update rules."""

import pytest
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case, model_of

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

BEYOND = NEWEST + 1
"""Run by the reference evaluator: ONNX Runtime does not know the operator yet."""

STATE = (2, 2, 3, 2)
EACH_KEY, EACH_HEAD = (2, 4, 6), (2, 4, 2)


def attention(rule: str, *given: object, wrt: int, of: int = 0, groups: int = 1) -> Case:
    return case(
        "LinearAttention",
        (2, 4, 6 * groups),
        (2, 4, 6),
        (2, 4, 4),
        *given,
        wrt=wrt,
        of=of,
        outputs=2,
        opset=BEYOND,
        low=-0.8,
        high=0.8,
        q_num_heads=2 * groups,
        kv_num_heads=2,
        update_rule=rule,
        runtime=True,  # in float32, as the evaluator computes it anyway
        dynamic=() if STATE in given else ((0,),),
    )


CASES = [
    *(attention("linear", wrt=wrt) for wrt in (0, 1, 2)),
    *(attention("gated", STATE, EACH_KEY, wrt=wrt, groups=2) for wrt in (0, 1, 2, 3, 4)),
    *(attention("delta", STATE, None, EACH_HEAD, wrt=wrt) for wrt in (0, 1, 2, 3, 5)),
    *(attention("gated_delta", STATE, EACH_HEAD, (2, 4, 1), wrt=wrt) for wrt in range(6)),
    *(attention("gated_delta", STATE, EACH_KEY, EACH_HEAD, wrt=wrt, of=1) for wrt in range(1, 6)),
]


@checks(CASES, one_in=3)
def test_derivative(check, case: Case) -> None:
    check(case)


def test_a_varying_length_is_refused() -> None:
    model = model_of(attention("linear", wrt=0), dynamic=(1,))
    with pytest.raises(UnsupportedOperatorError, match="LinearAttention"):
        append_gradients(model, of="y0", wrt=["x0"])
