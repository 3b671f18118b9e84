"""Attention as one operator: masked, causal, grouped, with a past, and what it shows of itself."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

HEADS = (2, 2, 3, 4)
KEYS = (2, 2, 5, 4)
VALUES = (2, 2, 5, 3)
MASK = np.where(np.arange(15).reshape(3, 5) % 4 == 0, -2.0, 0.3)
ROW_MASKED = np.arange(15).reshape(3, 5) % 5 < np.array([[2], [0], [5]])
PAST = ((2, 2, 2, 4), (2, 2, 2, 3))


def attention(*inputs: object, **given: object) -> Case:
    return case("Attention", *inputs, **{"opset": NEWEST, "dynamic": ((0,),), **given})


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


PLAIN = [
    attention(HEADS, KEYS, VALUES, *mask, wrt=wrt, opset=opset, dynamic=dynamic, **attrs)
    for mask, opset, dynamic, attrs in (
        ((), 23, ((0,), (0, 2)), {}),
        ((MASK,), 24, ((0,),), {"scale": 0.3}),
        ((MASK > 0,), 23, ((0,),), {}),
        ((), NEWEST, ((0,), (0, 2)), {"is_causal": 1}),
        ((MASK,), NEWEST, ((0,),), {"softcap": 1.5, "is_causal": 1}),
        ((ROW_MASKED,), NEWEST, ((0,),), {}),
        ((ROW_MASKED[:, :3],), NEWEST + 1, ((0,),), {}),  # ONNX Runtime takes no shorter mask
        ((np.where(ROW_MASKED, MASK, -np.inf),), NEWEST, ((0,),), {}),
    )
    for wrt in (0, 1, 2)
]
MASKS = [
    attention(HEADS, KEYS, VALUES, shape, wrt=3, dynamic=(), **attrs)
    for shape, attrs in (
        ((3, 5), {}),
        ((2, 1, 3, 5), {"is_causal": 1}),
        ((2, 3, 4), {"softcap": 2.0, "opset": NEWEST + 1}),
    )
] + [
    attention(HEADS, KEYS, VALUES, Fed(np.where(MASK > 0, MASK, -1e5)), wrt=3, dynamic=()),
    attention(HEADS, KEYS, VALUES, MASK, softmax_precision=1, runtime=True),
]
GROUPED = [
    attention((2, 4, 3, 4), KEYS, VALUES, wrt=wrt, opset=opset, dynamic=((0,), (0, 2)))
    for wrt, opset in ((0, 23), (1, 24), (2, NEWEST))
]
PACKED = [
    attention(
        (2, 3, 8),
        (2, 5, 4 * keys),
        (2, 5, 3 * keys),
        wrt=wrt,
        opset=23,
        q_num_heads=2,
        kv_num_heads=keys,
        dynamic=((0,), (0, 1)),
    )
    for keys in (1, 2)
    for wrt in (0, 1, 2)
]
WITH_PAST = [
    attention(HEADS, KEYS, VALUES, None, *PAST, wrt=wrt, of=of, outputs=3, is_causal=1)
    for wrt, of in ((0, 0), (1, 0), (2, 0), (4, 0), (5, 0), (1, 1), (4, 1), (2, 2), (5, 2))
] + [attention(HEADS, HEADS, HEADS, None, *[HEADS] * 2, wrt=1, outputs=3, dynamic=((0, 2),))]
PADDED = [
    attention(
        HEADS,
        KEYS,
        VALUES,
        *mask,
        None,
        None,
        Fed(ints(5, 2)),
        wrt=wrt,
        opset=24,
        is_causal=causal,
        dynamic=(),
    )
    for mask, causal in (((None,), 0), ((MASK,), 0), ((None,), 1))
    for wrt in (0, 1, 2)
]
WINDOWS = [  # which ONNX Runtime does not know yet
    attention(HEADS, KEYS, VALUES, *past, opset=NEWEST + 1, dynamic=((0,), (0, 2)), **attrs)
    for past, attrs in (
        ((), {"left_window_size": 1, "right_window_size": 1}),
        ((MASK,), {"left_window_size": 0, "is_causal": 1}),
        ((None, *PAST), {"left_window_size": 2, "outputs": 3}),
        ((None, None, None, Fed(ints(5, 2))), {"left_window_size": 1, "right_window_size": 0}),
    )
]
SHOWN = [
    attention(
        HEADS,
        KEYS,
        VALUES,
        MASK,
        wrt=wrt,
        of=3,
        outputs=4,
        qk_matmul_output_mode=mode,
        softcap=cap,
    )
    for mode, cap in ((0, 0.0), (1, 2.0), (2, 2.0), (3, 2.0))
    for wrt in (0, 1)
]

CASES = [*PLAIN, *MASKS, *GROUPED, *PACKED, *WITH_PAST, *PADDED, *WINDOWS, *SHOWN]


@checks(CASES, one_in=2)
def test_derivative(check, case: Case) -> None:
    check(case)
