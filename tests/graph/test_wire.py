"""Where the weights' bytes are, by protobuf's wire format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import classifier
from hypothesis import given
from hypothesis import strategies as st

from onnxcam.graph.wire import raw_data_of_initializers

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.onnx"))


def found(data: bytes) -> list[bytes | None]:
    return [span and data[slice(*span)] for span in raw_data_of_initializers(data)]


def said(model: onnx.ModelProto) -> list[bytes | None]:
    return [t.raw_data if t.HasField("raw_data") else None for t in model.graph.initializer]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_weight_of_a_file_is_found(path: Path) -> None:
    data = path.read_bytes()
    assert found(data) == said(onnx.load_model_from_string(data))


def test_messages_behind_each_other_are_one() -> None:
    added = onnx.ModelProto()
    added.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(7.0), "added"))
    data = classifier().SerializeToString() + added.SerializeToString()
    assert found(data) == said(onnx.load_model_from_string(data))


def test_values_that_are_stored_as_numbers_are_told_apart() -> None:
    model = classifier()
    model.graph.initializer.append(
        onnx.helper.make_tensor("numbers", onnx.TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    )
    assert found(model.SerializeToString())[-1] is None
    assert found(model.SerializeToString()) == said(model)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        spans = raw_data_of_initializers(data)
    except ValueError:
        return
    assert all(span is None or 0 <= span[0] <= span[1] <= len(data) for span in spans)


@given(st.integers(0, 400))
def test_a_file_cut_short_is_refused_or_has_fewer(length: int) -> None:
    data = classifier().SerializeToString()
    try:
        spans = raw_data_of_initializers(data[:-length] if length else data)
    except ValueError:
        return
    assert len(spans) <= len(classifier().graph.initializer)
