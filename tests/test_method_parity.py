"""onnxcam's maps against the recorded ones of pytorch-grad-cam and torchcam, without either.

Each method at each layer of five networks, for pictures with classes of their own (see
scripts/references/record_methods.py); how maps are compared says `method_maps.FORMS`.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import onnx
import pytest
from references.derivation import CONDITIONING
from references.deviations import DEVIATIONS, deviates
from references.method_maps import MethodMaps, Recorded, away, networks, read_maps
from references.rebuild import Reference, build, read
from references.replay import baked_maps, is_baked, known, searched_map

from onnxcam.methods import methods

TOLERANCE = 1e-4
"""Largest difference from the library's map in float64, relative to that map's maximum."""

MANY_RUNS = {("timm_vit_tiny", "scorecam")}
"""Searches that take longer than the rest together."""


@lru_cache(maxsize=1)
def rebuilt(network: str) -> tuple[Reference, onnx.ModelProto, MethodMaps]:
    """A recording and its model; only the latest is kept, they are large."""
    reference = read(network)
    return reference, build(reference), read_maps(network)


@lru_cache(maxsize=1)
def baked(network: str) -> dict[str, np.ndarray]:
    """The maps of all methods in closed form, from one run."""
    reference, model, maps = rebuilt(network)
    return baked_maps(reference, model, maps, [one for one in known(maps) if is_baked(one)])


def recordings() -> Iterator:
    """Everything recorded, network by network."""
    for network in networks():
        for one in known(read_maps(network)):
            slow = [pytest.mark.slow] if (network, one.method) in MANY_RUNS else []
            yield pytest.param(network, one, id=f"{network}-{one.id}", marks=slow)


@pytest.mark.parametrize(("network", "one"), list(recordings()))
def test_the_map_is_the_librarys(network: str, one: Recorded) -> None:
    reference, model, maps = rebuilt(network)
    raw = baked(network)[one.key] if is_baked(one) else searched_map(reference, model, maps, one)
    difference = maps.away(one, raw)
    if deviates(one.method, one.library):
        assert difference > 100 * TOLERANCE, "no longer a deviation"
    else:
        assert difference < TOLERANCE


def test_recordings_are_there() -> None:
    """An empty folder must not pass for success."""
    found = [read_maps(network) for network in networks()]
    assert len(found) >= 5
    assert sum(len(maps.recorded) for maps in found) >= 100
    assert len({one.method for maps in found for one in maps.recorded}) >= 18
    for maps in found:
        assert set(maps.arrays) == {one.key for one in maps.recorded}
        assert len(set(maps.classes)) == len(maps.classes) == 3
        for one in maps.recorded:
            assert one.drift <= CONDITIONING
            recorded = maps.arrays[one.key]
            assert recorded.shape[0] == one.pictures
            assert np.isfinite(recorded).all()
            assert (np.abs(recorded).max(axis=(1, 2)) > 0).all()


def test_every_recorded_method_is_known() -> None:
    names = {method.name for method in methods()}
    for network in networks():
        assert {one.method for one in read_maps(network).recorded} <= names


def test_deviations_are_of_methods_there_are() -> None:
    assert {one.method for one in DEVIATIONS} <= {method.name for method in methods()}


def test_a_map_of_another_picture_is_noticed() -> None:
    """The comparison itself: signs, single pixels and pictures count."""
    theirs = np.array([[[0.0, 1.0], [2.0, -4.0]], [[1.0, 0.0], [0.5, 0.0]]])
    assert away("raw", theirs, theirs) == 0
    assert away("raw", theirs[::-1], theirs) > 1
    assert away("raw", -theirs, theirs) == 2
    assert away("up to sign", -theirs, theirs) == 0
    assert away("positive", np.maximum(theirs, 0), theirs) == 0
    assert away("positive", theirs, theirs) == 1
    assert away("positive", np.zeros((1, 2, 2)), -np.ones((1, 2, 2))) == 0
    assert np.isnan(away("raw", theirs * np.nan, theirs))
    with pytest.raises(ValueError, match="shape"):
        away("raw", theirs[:, :1], theirs)
