"""Stored values of every kind: element types, sparse ones, those that nothing knows yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import classifier, conv_trunk, torch_like
from graphs import Build, photo, weights
from onnx import TensorProto, helper, numpy_helper

import onnxcam
from onnxcam.errors import ModelError
from onnxcam.graph import external
from onnxcam.graph.external import size_in_bytes, values
from onnxcam.graph.load import load
from onnxcam.graph.network import Network, is_float

EXTERNAL = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}


@pytest.mark.parametrize(
    "name",
    ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT4", "UINT4", "FLOAT8E4M3FN",
     "FLOAT8E5M2", "FLOAT4E2M1", "BOOL", "INT64", "COMPLEX64"],
)  # fmt: skip
def test_every_element_type(name: str, tmp_path: Path) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name))
    array = np.arange(2049).reshape(3, 683).__mod__(2).astype(dtype)
    tensor = numpy_helper.from_array(array, "w")
    model = torch_like()
    model.graph.initializer.append(tensor)
    assert size_in_bytes(tensor) == len(tensor.raw_data)
    onnx.save(model, tmp_path / "m.onnx", **EXTERNAL)
    found = load(tmp_path / "m.onnx").graph.initializer[-1]
    assert external.is_external(found)
    np.testing.assert_array_equal(values(found), array)


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "by axis"])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "listed"])
def test_sparse_weights(raw: bool, linear: bool) -> None:
    model = classifier()
    stored = model.graph.initializer
    at = next(i for i, tensor in enumerate(stored) if tensor.name == "logits.weight")
    full = np.where(np.abs(w := numpy_helper.to_array(stored[at])) > 0.3, w, 0)
    del stored[at]
    index = np.flatnonzero(full) if linear else np.argwhere(full)
    parts = [numpy_helper.from_array(x) for x in (full[full != 0], index)]
    if not raw:
        parts = [
            helper.make_tensor("", t.data_type, t.dims, numpy_helper.to_array(t).ravel())
            for t in parts
        ]
    parts[0].name = "logits.weight"
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(*parts, full.shape))
    network = Network(model)
    tensor = network.tensors["logits.weight"]
    np.testing.assert_array_equal(network.value(tensor), full)
    assert (tensor.dtype, tuple(tensor.shape)) == (np.float32, full.shape)
    assert onnxcam.explain(model, photo()).heatmap.max() > 0


def test_an_element_type_from_the_future_is_named() -> None:
    model = classifier()
    model.graph.initializer.add(name="w", data_type=99, dims=[1], raw_data=b"1234")
    with pytest.raises(ModelError, match=r"'w' have the element type 99, which onnx .* newer one"):
        onnxcam.rewrite(model)


def test_weights_in_half_precision_have_a_type_that_numpy_knows() -> None:
    b = Build()
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.weight("w", weights(8, 5).astype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)))
    b.op("Cast", ["w"], "wide", to=TensorProto.FLOAT)
    b.op("MatMul", ["flat", "wide"], "logits")
    b.output("logits", [1, 5])
    network = Network(b.model())
    assert is_float(network.tensors["w"])
    assert network.tensors["w"].dtype == network.value(network.tensors["w"]).dtype
