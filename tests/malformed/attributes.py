"""Attributes and parameters that make no sense."""

from __future__ import annotations

import numpy as np
from graphs import weights
from malformed.making import HUGE, answered, attribute, inserted, refused
from onnx import TensorProto

refused(
    r"node 'Conv:conv1' \(Conv\) has (kernel_shape|strides|dilations|pads|group) \[?-?\d",
    kernel_0=attribute("Conv", "kernel_shape", [0, 0]),
    kernel_negative=attribute("Conv", "kernel_shape", [-3, -3]),
    kernel_of_2_40=attribute("Conv", "kernel_shape", [2**40, 2**40]),
    stride_0=attribute("Conv", "strides", [0, 0]),
    stride_negative=attribute("Conv", "strides", [-1, -1]),
    stride_of_2_62=attribute("Conv", "strides", [HUGE, HUGE]),
    dilation_0=attribute("Conv", "dilations", [0, 0]),
    dilation_of_2_62=attribute("Conv", "dilations", [HUGE, HUGE]),
    pads_of_2_62=attribute("Conv", "pads", [HUGE] * 4),
    group_0=attribute("Conv", "group", 0),
    group_negative=attribute("Conv", "group", -1),
    group_of_2_62=attribute("Conv", "group", HUGE),
)
refused(
    r"node '\w+:odd' \(\w+\) has (kernel_shape|strides|dilations|\w*size|num_groups) \[?-?\d",
    pool_kernel_0=inserted("AveragePool", kernel_shape=[0, 0]),
    pool_kernel_of_2_62=inserted("MaxPool", kernel_shape=[HUGE, HUGE]),
    pool_stride_0=inserted("MaxPool", kernel_shape=[2, 2], strides=[0, 0]),
    pool_stride_0_ceil=inserted("MaxPool", kernel_shape=[2, 2], strides=[0, 0], ceil_mode=1),
    pool_dilation=inserted("MaxPool", kernel_shape=[2, 2], dilations=[HUGE, HUGE], ceil_mode=1),
    transposed_stride_0=inserted("ConvTranspose", weights(6, 6, 1, 1), strides=[0, 0]),
    transposed_stride_huge=inserted("ConvTranspose", weights(6, 6, 1, 1), strides=[HUGE, HUGE]),
    blocks_0=inserted("DepthToSpace", blocksize=0),
    blocks_negative=inserted("SpaceToDepth", blocksize=-2),
    blocks_huge=inserted("DepthToSpace", blocksize=2**40),
    lrn_size_0=inserted("LRN", size=0),
    lrn_size_huge=inserted("LRN", size=2**40 + 1),
    group_norm_0=inserted("GroupNormalization", weights(0), weights(0), num_groups=0, opset=21),
)
refused(
    r"has \d (strides|pads|dilations) for a window of \d sides",
    kernel_of_another_rank=attribute("Conv", "kernel_shape", [3]),
    pool_attributes_short=inserted("MaxPool", kernel_shape=[2, 2], strides=[1], ceil_mode=1),
    pool_pads_short=inserted("AveragePool", kernel_shape=[2, 2], pads=[1, 1]),
)
refused(
    r"'(odd|conv1)' would have the shape \[\d+, 6, -?\d+, -?\d+\], which no tensor can have",
    pads_of_a_billion=attribute("Conv", "pads", [10**9] * 4),
    pool_pads_huge=inserted("AveragePool", kernel_shape=[2, 2], pads=[10**9] * 4),
    transposed_output_shape=inserted("ConvTranspose", weights(6, 6, 1, 1), output_shape=[HUGE] * 2),
    pad_a_billion=inserted("Pad", np.array([0, 0, 10**9, 0, 0, 0, 10**9, 0])),
    pad_cut_to_nothing=inserted("Pad", np.array([0, 0, -99, 0, 0, 0, 0, 0])),
    resize_a_billion=inserted("Resize", "", np.array([1, 1, 1e9, 1e9], np.float32)),
    resize_infinite=inserted("Resize", "", np.array([1, 1, np.inf, np.inf], np.float32)),
    resize_nan=inserted("Resize", "", np.array([1, 1, np.nan, 1], np.float32)),
    resize_negative=inserted("Resize", "", np.array([1, 1, -2, -2], np.float32)),
    resize_to_a_billion=inserted("Resize", "", "", np.array([1, 6, 10**9, 10**9]), mode="linear"),
    resize_to_2_62=inserted("Resize", "", "", np.array([1, 6, HUGE, 8]), mode="linear"),
    expand_to_2_62=inserted("Expand", np.array([HUGE, 6, 8, 8])),
    expand_to_10_12=inserted("Expand", np.array([10**12, 6, 8, 8])),
    tile_10_12=inserted("Tile", np.array([1, 1, 10**6, 10**6])),
)
refused(
    r"the shape of 'logits' cannot be inferred \(node '\w+:(odd|flat|conv1)' \(\w+\): \S.*\)",
    pads_of_another_rank=attribute("Conv", "pads", [1]),
    flatten_axis=attribute("Flatten", "axis", 99),
    transposed_same=inserted(
        "ConvTranspose", weights(6, 6, 1, 1), strides=[2], auto_pad="SAME_UPPER"
    ),
    concat_axis=inserted("Concat", "relu1", axis=9),
    softmax_axis=inserted("Softmax", axis=-99),
    transpose_no_permutation=inserted("Transpose", perm=[0, 0, 1, 1]),
    transpose_out_of_range=inserted("Transpose", perm=[0, 1, 2, HUGE]),
    gather_axis=inserted("Gather", np.array([0]), axis=99),
    slice_step_0=inserted("Slice", np.array([0]), np.array([9]), np.array([1]), np.array([0])),
    slice_axes_twice=inserted("Slice", np.array([0, 1]), np.array([9, 9]), np.array([1, 1])),
    slice_of_lengths=inserted("Slice", np.array([0, 1]), np.array([9])),
    pad_of_other_rank=inserted("Pad", np.array([1, 1])),
    resize_of_other_rank=inserted("Resize", "", np.array([2, 2], np.float32)),
    reshape_two_unknown=inserted("Reshape", np.array([-1, -1, 8, 8])),
    reshape_negative=inserted("Reshape", np.array([1, 6, -8, -8])),
    reshape_copies_nothing=inserted("Reshape", np.array([0, 0, 0, 0, 0, 0])),
    reshape_by_floats=inserted("Reshape", np.array([1.0, 6.0, 8.0, 8.0], np.float32)),
    expand_to_other=inserted("Expand", np.array([5, 5, 5, 5])),
    split_of_other_sum=inserted("Split", np.array([100]), axis=1),
    split_negative=inserted("Split", np.array([-6]), axis=1),
    squeeze_of_long_axis=inserted("Squeeze", np.array([1])),
    unsqueeze_far=inserted("Unsqueeze", np.array([HUGE])),
    reduce_axis=inserted("ReduceMean", np.array([99])),
    einsum_of_junk=inserted("Einsum", equation="ab->->!"),
    einsum_of_other_rank=inserted("Einsum", equation="ab->ba"),
    add_of_other_shape=inserted("Add", weights(7)),
    matmul_of_other_shape=inserted("MatMul", weights(99, 8)),
    cast_to_999=inserted("Cast", to=999),
)
refused(  # onnx notices further on only
    r"the shape of 'logits' cannot be inferred \(",
    transpose_of_other_rank=inserted("Transpose", perm=[0, 1]),
    gather_elements_of_other_rank=inserted("GatherElements", np.array([0]), axis=1),
    cast_to_nothing=inserted("Cast", to=0),
    scale_of_another_rank=inserted("QuantizeLinear", weights(2, 2), axis=9),
    pads_negative=attribute("Conv", "pads", [-20] * 4),
    pad_huge=inserted("Pad", np.array([0, 0, HUGE, 0, 0, 0, HUGE, 0])),
    reshape_to_2_62=inserted("Reshape", np.array([HUGE, HUGE, HUGE, HUGE])),
    tile_2_62=inserted("Tile", np.array([HUGE, HUGE, 1, 1])),
    tile_negative=inserted("Tile", np.array([-1, 1, 1, 1])),
    unsqueeze_twice=inserted("Unsqueeze", np.array([0, 0])),
    cast_to_strings=inserted("Cast", to=TensorProto.STRING),
)
refused(
    r"the shape of 'odd' at node 'Einsum:odd' \(Einsum\) cannot be inferred",
    einsum_of_nothing=inserted("Einsum", equation=""),
)
refused(
    "'Conv:conv1 : strides'. Expected: 'INTS'", attribute_type=attribute("Conv", "strides", "two")
)
refused("Unrecognized attribute: slope", attribute_unknown=attribute("Relu", "slope", 0.5))
refused(
    "Required attribute '(kernel_shape|axis)' is missing",
    pool_without_kernel=inserted("MaxPool"),
    concat_without_axis=inserted("Concat", "relu1"),
)
refused("TopK:odd.*output size 1", top_k_of_one_output=inserted("TopK", np.array([2]), axis=1))
refused(
    r"Dropout:odd.*drops values at random",
    dropout_of_2=inserted("Dropout", np.array(2.0, np.float32), np.array(True)),
)
refused(r"'Where:odd' \(Where\)", where_of_floats=inserted("Where", weights(8), weights(8)))
refused(
    r"ONNX Runtime refuses the model: \S",
    auto_pad_unknown=attribute("Conv", "auto_pad", "SOMEHOW"),
    pad_mode=inserted("Pad", np.array([0] * 8), mode="mirror"),
    resize_0=inserted("Resize", "", np.array([1, 1, 0, 0], np.float32)),
    norm_axis=inserted("LayerNormalization", weights(8), axis=99),
    add_of_integers=inserted("Add", np.array(1)),
)
refused(
    r"the model does not run: .*(Name|Op)",
    group_of_5=attribute("Conv", "group", 5),
    gather_out_of_range=inserted("Gather", np.array([0, 99]), axis=1),
    scatter_out_of_range=inserted("ScatterND", np.array([[99]]), weights(1, 6, 8, 8)),
    reshape_to_other_size=inserted("Reshape", np.array([1, 6, 8, 9])),
    reduce_axes_twice=inserted("ReduceMean", np.array([1, 1])),
    cumsum_axis=inserted("CumSum", np.array(99)),
    norm_of_other_length=inserted("InstanceNormalization", weights(5), weights(5)),
    roi_of_nothing=inserted("RoiAlign", weights(0, 4), np.zeros(0, np.int64), output_height=0),
)
answered(
    attribute_nan=attribute("Gemm", "alpha", float("nan")),
    slice_huge=inserted("Slice", np.array([-(2**63)]), np.array([2**63 - 1]), np.array([1])),
    clip_upside_down=inserted("Clip", np.array(3.0, np.float32), np.array(-3.0, np.float32)),
)
