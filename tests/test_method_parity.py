"""onnxcam's maps against the recorded ones of pytorch-grad-cam and torchcam, without either.

Each method at each layer of five networks, for pictures with classes of their own (see
scripts/references/record_methods.py); how maps are compared says `method_maps.FORMS`.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import onnx
import pytest
from references.deviations import ANY, DEVIATIONS, deviates
from references.method_maps import MethodMaps, Recorded, away, conditioning, read_maps, studies
from references.rebuild import Reference, read
from references.replay import (
    activations,
    baked_maps,
    is_baked,
    known,
    model_for,
    searched_map,
)

from onnxcam.methods import methods
from onnxcam.methods.projection.fem import FEM

TOLERANCE = 1e-4
"""Largest difference from the library's map in float64, relative to that map's maximum."""

MANY_RUNS = {
    ("timm_swin_tiny", "ablationcam-layers.0.blocks.1.norm1-pytorch-grad-cam"),
    ("timm_swin_tiny", "scorecam-layers.0.blocks.1.norm1-pytorch-grad-cam"),
    ("timm_vit_tiny", "scorecam-blocks.11.norm1-pytorch-grad-cam"),
    ("torch_resnet50_small", "iscam-layer1.2-torchcam"),
    ("torch_resnet50_small", "scorecam-layer1.2-pytorch-grad-cam"),
    ("torch_resnet50_small", "scorecam-layer4.2-pytorch-grad-cam"),
    ("torch_resnet50_small", "sscam-layer1.2-torchcam"),
}
"""Searches that take longer than the rest together."""


@lru_cache(maxsize=1)
def rebuilt(name: str) -> tuple[Reference, onnx.ModelProto, MethodMaps]:
    """A recording and its model; only the latest is kept, they are large."""
    maps = read_maps(name)
    reference = read(maps.network)
    return reference, model_for(reference, maps), maps


@lru_cache(maxsize=1)
def baked(name: str) -> dict[str, np.ndarray]:
    """The maps of all methods in closed form, from one run."""
    reference, model, maps = rebuilt(name)
    return baked_maps(reference, model, maps, [one for one in known(maps) if is_baked(one)])


def recordings() -> Iterator:
    """Everything recorded, study by study."""
    for name in studies():
        for one in known(read_maps(name)):
            many = (name, one.id) in MANY_RUNS or one.id.endswith("-augment")
            slow = [pytest.mark.slow] if many else []
            yield pytest.param(name, one, id=f"{name}-{one.id}", marks=slow)


@pytest.mark.parametrize(("name", "one"), list(recordings()))
def test_the_map_is_the_librarys(name: str, one: Recorded) -> None:
    reference, model, maps = rebuilt(name)
    raw = baked(name)[one.key] if is_baked(one) else searched_map(reference, model, maps, one)
    if deviates(one.method, one.library):
        RELATIONS[one.method](activations(reference, model, maps, one), raw, maps.arrays[one.key])
        assert maps.away(one, raw) > 100 * TOLERANCE, "no longer a deviation"
    else:
        assert maps.away(one, raw) < TOLERANCE


def require_swapped_factors(a: np.ndarray, raw: np.ndarray, recorded: np.ndarray) -> None:
    """Of a channel A with the mask M: M times the mean of A here, the mean of M times A in the
    library. Either map's own mean is that of M times that of A, summed over channels."""
    mean, deviation = (part((2, 3), keepdims=True) for part in (a.mean, a.std))
    mask = a > mean + FEM().k * deviation
    swapped = (mask.mean((2, 3), keepdims=True) * a).sum(1)
    assert away("raw", swapped, recorded) < TOLERANCE
    assert away("raw", (mask * mean).sum(1), raw) < TOLERANCE
    np.testing.assert_allclose(raw.mean((1, 2)), recorded.mean((1, 2)), rtol=TOLERANCE)


RELATIONS = {"fem": require_swapped_factors}
"""How onnxcam's map (n, h, w) and a library's follow from the activations (n, C, h, w), where the
two are meant to differ."""


def test_recordings_are_there() -> None:
    """An empty folder must not pass for success."""
    found = [read_maps(name) for name in studies()]
    assert len(found) >= 6
    assert len({maps.network for maps in found}) >= 5
    assert sum(len(maps.recorded) for maps in found) >= 150
    assert len({one.method for maps in found for one in maps.recorded}) >= 20
    assert {one.smooth for maps in found for one in maps.recorded} == {None, "eigen", "augment"}
    for maps in found:
        assert set(maps.arrays) == {one.key for one in maps.recorded}
        assert len(set(maps.classes)) == len(maps.classes) == 3
        for one in maps.recorded:
            assert one.drift <= conditioning(one.method)
            recorded = maps.arrays[one.key]
            assert recorded.shape[0] == one.pictures
            assert np.isfinite(recorded).all()
            assert (np.abs(recorded).max(axis=(1, 2)) > 0).all()


def test_every_recorded_method_is_known() -> None:
    names = {method.name for method in methods()}
    for name in studies():
        assert {one.method for one in read_maps(name).recorded} <= names


def test_deviations_are_of_methods_there_are() -> None:
    assert {one.method for one in DEVIATIONS} <= {ANY, *(method.name for method in methods())}


def test_a_map_of_another_picture_is_noticed() -> None:
    """The comparison itself: signs, single pixels and pictures count."""
    theirs = np.array([[[0.0, 1.0], [2.0, -4.0]], [[1.0, 0.0], [0.5, 0.0]]])
    assert away("raw", theirs, theirs) == 0
    assert away("raw", theirs[::-1], theirs) > 1
    assert away("raw", -theirs, theirs) == 2
    assert away("up to sign", -theirs, theirs) == 0
    assert away("positive", np.maximum(theirs, 0), theirs) == 0
    assert away("positive", theirs, theirs) == 1
    assert away("cut off", theirs, np.maximum(theirs, 0)) == 0
    assert away("cut off", theirs, theirs) == 1
    assert away("positive", np.zeros((1, 2, 2)), -np.ones((1, 2, 2))) == 0
    assert np.isnan(away("raw", theirs * np.nan, theirs))
    with pytest.raises(ValueError, match="shape"):
        away("raw", theirs[:, :1], theirs)
