"""Fused operators of ONNX Runtime, each against its own kernel."""

from __future__ import annotations

import numpy as np
import pytest
from autodiff.kernels import Kernel, check_cotangents, check_gradients, check_lowering, kernel
from thinning import slow_but_one_in

ACTIVATIONS = (
    {"activation": "Relu"},
    {"activation": "Tanh"},
    {"activation": "Sigmoid"},
    {"activation": "LeakyRelu", "activation_params": [0.2]},
    {"activation": "Clip", "activation_params": [-0.5, 0.7]},
    {"activation": "HardSigmoid", "activation_params": [0.3, 0.6]},
)
CONVOLUTIONS = [
    kernel("FusedConv", (2, 3, 6, 5), (4, 3, 3, 3), (4,), exact=False, **attrs)
    for attrs in ACTIVATIONS
] + [
    kernel("FusedConv", (2, 3, 6, 5), (4, 3, 3, 3), (4,), activation="HardSwish"),
    kernel("FusedConv", (2, 3, 5, 4), (4, 3, 2, 2), (4,), (2, 4, 4, 3), wrt=(0, 3)),
    kernel(
        "FusedConv",
        (2, 4, 6, 5),
        (4, 1, 3, 3),
        None,
        (2, 4, 3, 3),
        wrt=(0, 3),
        exact=False,
        group=4,
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        activation="Relu",
    ),
    kernel(
        "ConvTransposeWithDynamicPads",
        (2, 3, 4, 5),
        (3, 2, 3, 3),
        np.array([1, 0, 1, 2]),
        (2,),
        strides=[2, 2],
    ),
]
PRODUCTS = (
    [
        kernel("FusedMatMul", a, b, wrt=(0, 1), **attrs)
        for a, b, attrs in (
            ((2, 3, 4), (2, 4, 5), {"alpha": 0.3}),
            ((2, 4, 3), (2, 5, 4), {"transA": 1, "transB": 1, "alpha": -1.5}),
            ((3, 2, 4), (2, 4, 5), {"transBatchA": 1, "dynamic": False}),
            ((4, 2, 3), (2, 4, 5), {"transBatchA": 1, "transA": 1, "dynamic": False}),
            ((2, 3, 4), (5, 2, 4), {"transBatchB": 1, "transB": 1, "dynamic": False}),
            ((3, 4), (2, 5, 4), {"transB": 1}),
            ((4,), (4, 5), {"alpha": 2.0, "dynamic": False}),
        )
    ]
    + [
        kernel(
            "TransposeMatMul",
            (4, 3),
            (5, 4),
            wrt=(0, 1),
            transA=1,
            transB=1,
            alpha=0.5,
            dynamic=False,
        ),
    ]
    + [
        kernel(
            "FusedGemm",
            (2, 3),
            (4, 3),
            (4,),
            wrt=(0, 1, 2),
            exact=False,
            transB=1,
            alpha=0.5,
            beta=2.0,
            **a,
        )
        for a in (
            {"activation": "Relu"},
            {"activation": "Tanh"},
            {"activation": "Sigmoid"},
            {"activation": "LeakyRelu", "activation_alpha": 0.2},
            {"activation": "Elu", "activation_alpha": 0.7},
            {"activation": "Selu", "activation_alpha": 1.2, "activation_gamma": 0.9},
            {"activation": "HardSigmoid", "activation_alpha": 0.3, "activation_beta": 0.4},
            {"activation": "Softplus"},
            {"activation": "Softsign"},
            {"activation": "ThresholdedRelu", "activation_alpha": 0.4},
        )
    ]
)
ACTIVATED = [
    kernel("Gelu", (2, 3, 4), low=-3, high=3),
    kernel("Gelu", (2, 3, 4), opset=11, exact=False),
    kernel("FastGelu", (2, 3, 4), low=-3, high=3),
    kernel("FastGelu", (2, 3, 4), (4,), wrt=(0, 1)),
    kernel("BiasGelu", (2, 3, 4), (4,), wrt=(0, 1), low=-3, high=3),
    kernel("QuickGelu", (2, 3, 4)),
    kernel("QuickGelu", (2, 3, 4), alpha=1.0),
]
NORMALISATIONS = [
    kernel(
        "SkipLayerNormalization", (2, 3, 4), skip, (4,), *rest, wrt=wrt, of=of, outputs=4, **attrs
    )
    for skip, rest, wrt, of, attrs in (
        ((2, 3, 4), ((4,),), (0, 1), (0,), {}),
        ((2, 3, 4), (None, (4,)), (0, 1, 4), (0, 3), {"epsilon": 0.1}),
        ((1, 3, 4), ((4,), (4,)), (0, 1, 4), (0, 3), {}),
        ((3, 4), ((4,),), (0, 1), (0,), {}),
    )
] + [
    kernel(
        "SkipSimplifiedLayerNormalization",
        (2, 3, 4),
        (2, 3, 4),
        (4,),
        wrt=(0, 1),
        of=(0, 3),
        outputs=4,
        exact=False,
    ),
    kernel(
        "SkipSimplifiedLayerNormalization",
        (2, 3, 4),
        (2, 3, 4),
        (4,),
        (4,),
        wrt=(0, 1, 3),
        outputs=4,
        exact=False,
    ),
    kernel(
        "SimplifiedLayerNormalization",
        (2, 3, 4),
        (4,),
        domain="",
        opset=11,
        exact=False,
        epsilon=0.1,
    ),
    kernel("LayerNormalization", (2, 3, 4), (4,), (4,), domain="", opset=12, exact=False),
]
IDS = np.array([[1, 0, 3], [2, 2, 1]], np.int32)
EMBEDDINGS = [
    kernel(
        "EmbedLayerNormalization",
        IDS,
        segments,
        (4, 5),
        (6, 5),
        rows,
        (5,),
        (5,),
        *more,
        wrt=wrt,
        of=of,
        outputs=3,
        dynamic=False,
    )
    for segments, rows, more, wrt, of in (
        (None, None, (), (2, 3), (0,)),
        (IDS % 2, (2, 5), (), (2, 3, 4), (0, 2)),
        (IDS % 2, (2, 5), (None, np.array([[3, 1, 0], [0, 5, 5]], np.int32)), (2, 3, 4), (0,)),
    )
]
LENGTHS = np.array([2, 3], np.int32)
KEPT = np.array([[1, 0, 1], [1, 1, 0]], np.int32)
SQUARE = np.tile(np.array([[1, 0, 1], [1, 1, 0], [1, 1, 1]], np.int32), (2, 1, 1))
TOKENS, HEADS = (2, 3, 8), (2, 2, 3, 4)
MULTI_HEAD = [
    kernel("MultiHeadAttention", *inputs, wrt=wrt, num_heads=2, **attrs)
    for inputs, wrt, attrs in (
        ((TOKENS, (2, 5, 8), (2, 5, 6)), (0, 1, 2), {}),
        ((TOKENS, TOKENS, TOKENS, (24,)), (0, 1, 2, 3), {"scale": 0.3}),
        ((TOKENS, TOKENS, TOKENS, None, LENGTHS), (0, 1, 2), {}),
        ((TOKENS, TOKENS, TOKENS, None, KEPT), (0, 1, 2), {"mask_filter_value": -3.0}),
        ((TOKENS, TOKENS, TOKENS, None, SQUARE), (0, 1, 2), {}),
        ((TOKENS, TOKENS, TOKENS, None, None, (1, 2, 3, 3)), (0, 1, 2, 5), {}),
        ((TOKENS, TOKENS, TOKENS, None, None, (2, 1, 3, 3)), (0, 1, 2, 5), {}),
        ((TOKENS, TOKENS, TOKENS), (0, 1, 2), {"unidirectional": 1}),
        ((TOKENS, (2, 2, 5, 4), (2, 2, 5, 4)), (0, 1, 2), {}),
    )
] + [
    kernel(
        "MultiHeadAttention",
        TOKENS,
        TOKENS,
        TOKENS,
        None,
        None,
        None,
        (2, 2, 2, 4),
        (2, 2, 2, 4),
        wrt=(0, 1, 2, 6, 7),
        of=(0, 1, 2),
        outputs=3,
        num_heads=2,
        **attrs,
    )
    for attrs in ({}, {"unidirectional": 1})
]
ATTENTIONS = [
    kernel("Attention", (2, 3, 5), *rest, wrt=wrt, num_heads=2, **attrs)
    for rest, wrt, attrs in (
        (((5, 24), (24,)), (0, 1, 2), {}),
        (((5, 24), (24,)), (0,), {"unidirectional": 1, "scale": 0.2}),
        (((5, 22), (22,)), (0, 1), {"qkv_hidden_sizes": [8, 8, 6]}),
        (((5, 24), (24,), LENGTHS), (0,), {}),
        (((5, 24), (24,), KEPT), (0,), {"mask_filter_value": -2.0}),
        (((5, 24), (24,), SQUARE), (0,), {}),
        (((5, 24), (24,), None, None, (2, 2, 3, 3)), (0, 5), {}),
    )
] + [
    kernel(
        "Attention",
        (2, 3, 5),
        (5, 24),
        (24,),
        None,
        (2, 2, 2, 4, 4),
        wrt=(0, 4),
        of=(0, 1),
        outputs=2,
        num_heads=2,
        dynamic=False,
        **attrs,
    )
    for attrs in ({}, {"unidirectional": 1})
]
ANGLES = np.linspace(0, 2, 12, dtype=np.float32).reshape(6, 2)
HALF = np.linspace(0, 2, 6, dtype=np.float32).reshape(6, 1)
ROTARY = [
    kernel("RotaryEmbedding", shape, ids, np.cos(table), np.sin(table), **attrs)
    for shape, ids, table, attrs in (
        ((2, 3, 8), np.array([1]), ANGLES, {}),
        ((2, 3, 8), np.array([[2, 0, 1], [3, 4, 5]]), ANGLES, {"interleaved": 1}),
        ((2, 2, 3, 4), np.array([0]), ANGLES, {}),
        ((2, 3, 8), np.array([0]), HALF, {"rotary_embedding_dim": 2, "num_heads": 2}),
    )
]
GRID = (2, 3, 4, 2)
STRUCTURE = [
    kernel("Inverse", (2, 3, 3), low=0.1, high=2.0, exact=False),
    kernel("Trilu", (2, 4, 3), exact=False),
    kernel("Trilu", (2, 4, 3), np.array(-1), opset=11, exact=False, upper=0),
    kernel("ExpandDims", (2, 3), np.array(1, np.int32)),
    kernel("ExpandDims", (2, 3), np.array(-1, np.int32)),
    kernel("Pad", (2, 3), np.array([0, 1, 1, 2]), np.array(0.5, np.float32), mode="constant"),
    kernel("Pad", (2, 4), np.array([0, 1, 0, 2]), mode="reflect"),
    kernel(
        "GridSample", (2, 2, 4, 5), GRID, wrt=(0, 1), low=-0.9, high=0.9, mode="bilinear", opset=16
    ),
    kernel("GridSample", (2, 2, 4, 5), GRID, low=-0.9, high=0.9, mode="nearest"),
    kernel("GatherND", (2, 3, 4), np.array([[0, 1], [1, 2]]), dynamic=False),
    kernel("CDist", (3, 4), (2, 4), wrt=(0, 1), metric="sqeuclidean"),
    kernel("CDist", (3, 4), (2, 4), wrt=(0, 1), metric="euclidean"),
    kernel("UnfoldTensor", (2, 7), dim=-1, size=3, step=2),
    kernel("UnfoldTensor", (2, 7, 2), dim=1, size=2, step=1),
]

BOXES = np.array([[0.1, 0.2, 0.7, 0.88], [0, 0, 1, 1], [-0.3, 0.4, 0.6, 1.2]], np.float32)
CROPS = [
    kernel(
        "CropAndResize",
        (2, 2, 5, 6),
        BOXES,
        np.array([1, 0, 1], np.int32),
        np.array(size, np.int32),
        opset=16,
        extrapolation_value=0.7,
        **attrs,
    )
    for size, attrs in (([3, 4], {}), ([1, 3], {}), ([3, 4], {"mode": "nearest"}))
]

KERNELS = [
    *CROPS,
    *CONVOLUTIONS,
    *PRODUCTS,
    *ACTIVATED,
    *NORMALISATIONS,
    *EMBEDDINGS,
    *MULTI_HEAD,
    *ATTENTIONS,
    *ROTARY,
    *STRUCTURE,
]
WAYS = [(each, dynamic) for each in KERNELS for dynamic in {False, each.dynamic}]


@pytest.mark.parametrize(("each", "dynamic"), WAYS, ids=str)
def test_gradients_are_those_of_the_kernel(each: Kernel, dynamic: bool) -> None:
    check_gradients(each, dynamic)


@pytest.mark.parametrize(("each", "dynamic"), slow_but_one_in(3, WAYS), ids=str)
def test_cotangents_may_be_several_and_lazy(each: Kernel, dynamic: bool) -> None:
    check_cotangents(each, dynamic)


@pytest.mark.parametrize("each", [k for k in KERNELS if k.exact], ids=str)
def test_what_is_emitted_computes_the_same(each: Kernel) -> None:
    check_lowering(each)
