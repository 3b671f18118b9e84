"""Deformable convolution, with respect to all of its inputs."""

from collections.abc import Iterator

import numpy as np
import pytest
from autodiff.checks import check_gradient, checks
from autodiff.numeric import NEWEST, Case, Fed, case
from autodiff.programs import Program, check_gradients, program

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

X = (2, 4, 5, 6)
INPUTS = ["x", "w", "offset", "bias", "mask"]


def deformed(
    wrt: int = 0,
    kernel: tuple[int, int] = (2, 3),
    outputs: int = 4,
    masked: bool = True,
    biased: bool = True,
    opset: int = 19,
    **attrs: object,
) -> Case:
    """Offsets are kept away from whole pixels, where slopes jump (differences step by 0.01)."""
    dynamic = attrs.pop("dynamic", ((0,),) if wrt in (0, 2, 4) else ())
    strides, dilations = attrs.get("strides", [1, 1]), attrs.get("dilations", [1, 1])
    pads, parts = attrs.get("pads", [0, 0, 0, 0]), attrs.get("offset_group", 1)
    size = [
        (X[2 + k] + pads[k] + pads[2 + k] - dilations[k] * (kernel[k] - 1) - 1) // strides[k] + 1
        for k in (0, 1)
    ]
    rng = np.random.default_rng(7)
    count = kernel[0] * kernel[1]
    shape = (X[0], parts * count * 2, *size)
    offsets = rng.integers(-2, 2, shape) + rng.choice([0.2, 0.4, 0.7], shape)
    return case(
        "DeformConv",
        X,
        Fed(rng.uniform(-1, 1, (outputs, X[1] // attrs.get("group", 1), *kernel))),
        Fed(offsets),
        Fed(rng.uniform(-1, 1, outputs)) if biased else None,
        *([Fed(rng.uniform(0, 1, (X[0], parts * count, *size)))] if masked else []),
        wrt=wrt,
        opset=opset,
        runtime=True,
        dynamic=dynamic,
        **attrs,
    )


GEOMETRIES: list[dict[str, object]] = [
    {},
    {"masked": False, "biased": False},
    {"masked": False},
    {"biased": False},
    {"strides": [2, 1], "pads": [1, 0, 2, 1]},
    {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
    {"group": 2},
    {"offset_group": 2},
    {"group": 2, "offset_group": 4, "strides": [1, 2], "pads": [1, 1, 0, 0]},
    {"group": 4, "offset_group": 2, "outputs": 8, "kernel": (1, 1)},
    {"kernel": (3, 3), "pads": [1, 1, 1, 1], "opset": 22},
    {"opset": NEWEST},
]


def every_input() -> Iterator[Case]:
    for geometry in GEOMETRIES:
        for wrt, name in enumerate(INPUTS):
            absent = {"bias": "biased", "mask": "masked"}.get(name, "")
            if geometry.get(absent, True):
                yield deformed(wrt, **geometry)


@pytest.mark.parametrize("each", list(every_input()), ids=str)
def test_it_agrees_with_differences(each: Case) -> None:
    check_gradient(each)
    if each.wrt == 0:
        check_gradient(each, (0, 2, 3))


ALL = {"group": 2, "offset_group": 2, "strides": [2, 1], "pads": [1, 1, 1, 1]}
CASES = [
    deformed(0, dynamic=((0,), (0, 2, 3)), **ALL),
    deformed(0, masked=False, biased=False, dynamic=((0,), (0, 2, 3))),
    *(deformed(wrt, **ALL) for wrt in (1, 2, 3, 4)),
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


SYMBOLIC = """
g (float[N,{c},H] column, float[{w}] weights, float[N,4,5,1] offset) => (float[N,{k},5,1] y)
<int64[1] last = {{3}}> {{
  x = Unsqueeze(column, last)
  w = Unsqueeze(weights, last)
  y = DeformConv<group = 1{attrs}>(x, w, offset)
}}
"""


def symbolic(c: str, w: str, k: str, attrs: str = "") -> Program:
    text = SYMBOLIC.format(c=c, w=w, k=k, attrs=attrs)
    offsets = np.random.default_rng(7).choice([0.2, 0.4, 0.7, -1.4], (2, 4, 5, 1))
    return program(text, opset=19, sizes={"N": 2, "C": 2, "K": 3, "H": 6, "R": 2}, offset=offsets)


@pytest.mark.parametrize(
    ("c", "w", "k"),
    [("2", "K,2,2", "K"), ("C", "K,2,2", "K"), ("2", "K,C,2", "3"), ("C", "3,2,2", "3")],
)
def test_channels_may_be_symbols(c: str, w: str, k: str) -> None:
    check_gradients(symbolic(c, w, k), 1e-3)


def test_a_kernel_whose_size_is_a_symbol_may_be_stated() -> None:
    check_gradients(symbolic("2", "3,2,R", "3", ", kernel_shape = [2,1]"), 1e-3)


@pytest.mark.parametrize(
    ("p", "why"),
    [
        (symbolic("2", "3,2,R", "3"), "kernel whose size only the run knows"),
        (symbolic("C", "3,C,2", "3"), "number of channels that only the run knows"),
    ],
    ids=["kernel", "channels"],
)
def test_what_only_the_run_knows_is_refused(p: Program, why: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=why):
        append_gradients(p.model, "y", ["column"])
