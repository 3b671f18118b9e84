"""NIfTI: what nibabel says that the values and the affine are; written and read again."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxcam.errors import VolumeError
from onnxcam.volumes import read_volume, write_volume

TURNED = np.array([[0, -2.5, 0, 90], [1.5, 0, 0.25, -126], [0, 0, 3, -72], [0, 0, 0, 1]])


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def stored(path: Path, values: np.ndarray, affine: np.ndarray = TURNED) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII"])
def test_axes_and_affine_are_as_stored(ending: str, tmp_path: Path) -> None:
    path = stored(tmp_path / f"a.b{ending}", ramp(3, 4, 5))
    volume = read_volume(path)
    assert volume.size == (3, 4, 5)
    np.testing.assert_array_equal(volume.values, ramp(3, 4, 5)[..., None])
    np.testing.assert_allclose(volume.affine, TURNED)
    assert volume.path == str(path)


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "i4", "u2", "f4", "f8"])
def test_slope_and_intercept_are_applied(dtype: str, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ramp(3, 4, 5).astype(dtype), TURNED)
    image.header.set_slope_inter(0.25, -7)
    data = bytearray(image.to_bytes())
    order = "<f4" if image.header.endianness == "<" else ">f4"
    data[112:120] = np.array([0.25, -7], order).tobytes()  # to_bytes puts NaN: slope, intercept
    (tmp_path / "a.nii").write_bytes(data)
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.values[..., 0], ramp(3, 4, 5) * 0.25 - 7)
    np.testing.assert_array_equal(
        volume.values[..., 0], nibabel.load(tmp_path / "a.nii").get_fdata().astype(np.float32)
    )


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((3, 4, 5, 1), 1), ((3, 4, 5, 2), 2), ((3, 4, 5, 1, 2), 2), ((3, 4, 5, 1, 1), 1)],
)
def test_a_further_axis_is_the_channels(
    shape: tuple[int, ...], channels: int, tmp_path: Path
) -> None:
    volume = read_volume(stored(tmp_path / "a.nii", ramp(*shape)), channels)
    np.testing.assert_array_equal(volume.values, ramp(3, 4, 5, channels))


def test_colours_are_channels(tmp_path: Path) -> None:
    colours = ramp(3, 4, 5, 3).astype(np.uint8)
    rgb = np.ascontiguousarray(colours).view([(name, "u1") for name in "RGB"]).reshape(3, 4, 5)
    np.testing.assert_array_equal(read_volume(stored(tmp_path / "a.nii", rgb), 3).values, colours)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((4, 5), r"shape \(4, 5\) is no volume"),
        ((3, 4, 5, 6), r"6 channels \(colours or time points\), the model takes 1"),
        ((3, 4, 5, 2, 3), "several axes of volumes"),
    ],
)
def test_shapes_that_are_no_volume(shape: tuple[int, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=said):
        read_volume(stored(tmp_path / "a.nii", ramp(*shape)))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [0, 5, 200, 349, -20])
def test_a_file_cut_short_is_told(ending: str, kept: int, tmp_path: Path) -> None:
    path = stored(tmp_path / f"a{ending}", np.random.default_rng(0).normal(size=(9, 9, 9)))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(VolumeError, match=r"a\.nii.*: (damaged|the file is empty)"):
        read_volume(path)


def test_a_value_damaged_on_its_way_is_told(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nii.gz", ramp(9, 9, 9))
    data = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0))
    data[-40] ^= 1  # not compressed: only the checksum knows
    path.write_bytes(data)
    with pytest.raises(VolumeError, match="CRC check failed"):
        read_volume(path)


def test_a_header_that_nibabel_mends_is_read_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path / "a.nii", ramp(3, 4, 5))
    data = bytearray(path.read_bytes())
    data[80:84] = np.float32(-2).tobytes()  # the step along the first axis
    path.write_bytes(data)
    np.testing.assert_array_equal(read_volume(path).values[..., 0], ramp(3, 4, 5))
    assert capfd.readouterr().err == ""


def test_no_values(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nii", ramp(3, 4, 5))
    data = bytearray(path.read_bytes())
    data[44:46] = bytes(2)  # the length of the second axis
    path.write_bytes(data)
    with pytest.raises(VolumeError, match=r"shape \(3, 0, 5\) holds no values"):
        read_volume(path)


def test_gzip_that_is_none(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nii", ramp(3, 4, 5))
    with pytest.raises(VolumeError, match="damaged, or not what its name says"):
        read_volume(path.rename(tmp_path / "a.nii.gz"))


def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.arrays.LARGEST", 59)
    path = stored(tmp_path / "a.nii", ramp(3, 4, 5))
    path.write_bytes(path.read_bytes()[:400])  # the header is enough to refuse it
    with pytest.raises(VolumeError, match="3 x 4 x 5 is 60 values, more than 59"):
        read_volume(path)


def test_the_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path / "a.nii", ramp(3, 4, 5))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    for act in (lambda: read_volume(path), lambda: write_volume(path, ramp(3, 4, 5))):
        with pytest.raises(VolumeError, match=r"need nibabel .*pip install 'onnxcam\[volumes\]'"):
            act()
    monkeypatch.undo()
    np.testing.assert_array_equal(read_volume(path).values[..., 0], ramp(3, 4, 5))  # still whole


finite = st.floats(-1000, 1000, width=32)


@settings(max_examples=30)
@given(
    entries=st.lists(finite, min_size=12, max_size=12),
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    flips=st.sets(st.integers(0, 2)),
    order=st.permutations(range(3)),
    ending=st.sampled_from([".nii", ".nii.gz", ".npz"]),
)
def test_affines_come_back(
    entries: list[float],
    shape: tuple[int, int, int],
    flips: set[int],
    order: list[int],
    ending: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever array order the values have, and whichever axes are turned round."""
    affine = np.eye(4)
    affine[:3] = np.array(entries).reshape(3, 4)
    affine[:3, :3] += 4000 * np.eye(3)  # may be sheared, cannot be flat
    values = np.flip(ramp(2, *shape)[1].transpose(order), sorted(flips))
    values = values if values.size > 1 else np.pad(values, ((0, 1), (0, 0), (0, 0)))
    path = tmp_path_factory.mktemp("round") / f"a{ending}"
    write_volume(path, values, affine)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values[..., 0], values)
    np.testing.assert_allclose(volume.affine, affine, rtol=1e-6, atol=1e-6)


def test_what_is_written_says_how_to_show_it(tmp_path: Path) -> None:
    heat = np.linspace(0, 0.75, 60, dtype=np.float32).reshape(3, 4, 5)
    write_volume(tmp_path / "new" / "a.nii.gz", heat, TURNED)
    image = nibabel.load(tmp_path / "new" / "a.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert (image.header["cal_min"], image.header["cal_max"]) == (0, 0.75)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)
    again = tmp_path / "again.nii.gz"
    write_volume(again, heat, TURNED)
    assert again.read_bytes() == (tmp_path / "new" / "a.nii.gz").read_bytes()


def test_without_an_affine_voxels_are_millimetres(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii", ramp(3, 4, 5))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").affine, np.eye(4))


def test_an_axis_too_long_for_the_first_format(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii", ramp(40000, 1, 1))
    assert read_volume(tmp_path / "a.nii").size == (40000, 1, 1)


def test_a_flat_affine_is_left_out(tmp_path: Path) -> None:
    flat = np.diag([1.0, 1, 0, 1])
    image = nibabel.Nifti1Image(ramp(3, 4, 5), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = flat[:3]
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    assert read_volume(tmp_path / "a.nii").affine is None
