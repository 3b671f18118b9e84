"""Which score of a model is checked, at which tensor, and what it is fed."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, mlp, two_inputs
from graphs import SIDE, Build, weights
from onnx import TensorProto

from onnxcam.check.subject import Subject, subject_of
from onnxcam.errors import LayerError, ModelError


def subject(model, layer=None, preprocess="0-1") -> Subject:
    return subject_of(model, layer, preprocess, None)


def test_a_classifier_is_checked_at_its_layer() -> None:
    found = subject(classifier())
    assert found.head is not None
    assert (found.score.name, found.start.name) == ("logits", "features")
    image = found.feeds["image"]
    assert (image.shape, image.dtype) == ((1, 3, SIDE, SIDE), np.float32)
    assert 0 <= image.min() < image.max() <= 1
    assert found.open_size is None


def test_a_fixed_batch_is_filled() -> None:
    image = subject(classifier((4, 3, SIDE, SIDE))).feeds["image"]
    assert image.shape == (4, 3, SIDE, SIDE)
    np.testing.assert_array_equal(image[0], image[3])


def test_a_layer_is_taken_by_its_name_and_an_unknown_one_refused() -> None:
    assert subject(classifier(), "relu1").start.name == "relu1"
    with pytest.raises(LayerError, match="'relu1'"):
        subject(classifier(), "relu11")


def test_it_says_which_size_was_chosen_where_the_model_leaves_it_open() -> None:
    found = subject(classifier((1, 3, "h", "w")))
    assert found.open_size == found.feeds["image"].shape[2:]


def test_other_inputs_are_made_up() -> None:
    gain = subject(two_inputs()).feeds["gain"]
    assert gain.shape == (1,)
    assert gain.dtype == np.float32


@pytest.mark.parametrize("layer", [None, "active"])
def test_a_classifier_without_a_spatial_layer_has_none_to_be_checked_at(layer: str | None) -> None:
    with pytest.raises((LayerError, ModelError), match="layer"):
        subject(mlp(), layer)


def words() -> Build:
    b = Build((1, "length"), name="words", dtype=TensorProto.INT64, opset=17)
    b.weight("table", weights(2, 4))
    b.op("Gather", ["table", "words"], "embedded")
    b.op("Tanh", ["embedded"], "active")
    return b


def test_of_integers_the_first_real_tensor_behind_them() -> None:
    b = words()
    b.output("active", [1, "length", 4])
    found = subject(b.model(), preprocess=None)
    assert found.head is None
    assert (found.start.name, found.score.name) == ("embedded", "active")
    assert found.feeds["words"].dtype == np.int64
    assert set(np.unique(found.feeds["words"])) <= {0, 1}


def test_nothing_real_is_an_error() -> None:
    b = Build((1, 4), name="words", dtype=TensorProto.INT64, opset=17)
    b.op("Identity", ["words"], "same")
    b.output("same", [1, 4], TensorProto.INT64)
    with pytest.raises(ModelError) as raised:
        subject(b.model(), preprocess=None)
    assert "\n" not in str(raised.value)
