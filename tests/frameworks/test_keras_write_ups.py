"""The Keras recipe for volumes against TensorFlow, live."""

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("matplotlib")

from references.derivation import distance
from write_ups.keras_volume import LAYER, NETWORKS, derived

import onnxcam

pytestmark = pytest.mark.frameworks

TOLERANCE = 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_keras_volume(name: str) -> None:
    found = derived(name)
    explainer = onnxcam.Explainer.from_recipe(found.model, "keras-volume", layer=LAYER)
    target = found.classes[0] if found.output.shape[1] > 1 else 1
    one = explainer.explain(found.source.volume(), target)
    assert distance(one.finish.unit(one.raw), found.arrays["heat"]) < TOLERANCE
    assert one.target.probability == pytest.approx(found.output[0, found.classes[0]], abs=TOLERANCE)
