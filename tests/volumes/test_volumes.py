"""Volumes from arrays and NumPy's files: layouts, values that cannot be explained, writing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from onnxcam.errors import VolumeError
from onnxcam.volumes import ENDINGS, Volume, as_volume, read_volume, write_volume


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        *[((3, 4, 5), 1), ((1, 4, 5), 1), ((1, 4, 1), 1)],
        *[((3, 4, 5, 1), 1), ((3, 4, 5, 2), 2)],
        *[((1, 3, 4, 5, 1), 1), ((1, 3, 4, 5, 2), 2), ((1, 1, 4, 5, 2), 2)],
    ],
)
def test_channels_behind(shape: tuple[int, ...], channels: int) -> None:
    size = (shape[1:] if len(shape) == 5 else shape)[:3]
    volume = as_volume(ramp(*shape), channels)
    np.testing.assert_array_equal(volume.values, ramp(*size, channels))
    assert volume.size == size


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
def test_channels_in_front(channels: int, batch: bool) -> None:
    given = ramp(channels, 3, 4, 5)
    volume = as_volume(given[None] if batch else given, channels)
    np.testing.assert_array_equal(volume.values, given.transpose(1, 2, 3, 0))
    assert volume.values.flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "channels", "said"),
    [
        ((4, 5), 1, r"shape \(4, 5\); give \(D, H, W\), \(D, H, W, C\) or \(C, D, H, W\)"),
        ((1, 1, 1, 3, 4, 5), 1, "give"),
        ((2, 3, 4, 5, 1), 1, "a batch of 2"),
        ((3, 4, 5), 2, r"no axis of \(3, 4, 5\) has the model's 2 channels; give \(D, H, W, 2\)"),
        ((3, 4, 5, 6), 1, "no axis of .* the model's 1 channel;"),
        ((1, 3, 4, 5), 3, "no axis"),
        (
            (2, 4, 5, 2),
            2,
            r"channels \(2\) may be in front or behind .*; give a Volume made by hand",
        ),
        ((1, 4, 5, 1), 1, r"give \(D, H, W\) or a Volume"),
    ],
)
def test_layouts_that_do_not_fit(shape: tuple[int, ...], channels: int, said: str) -> None:
    with pytest.raises(VolumeError, match=said):
        as_volume(ramp(*shape), channels)


@pytest.mark.parametrize("dtype", ["bool", "i1", ">u2", "i8", "f2", ">f4", "f8"])
def test_real_numbers_become_float32(dtype: str) -> None:
    given = (ramp(2, 3, 4) % 2).astype(dtype)
    values = as_volume(given).values
    assert values.dtype == np.float32
    assert values.dtype.isnative
    np.testing.assert_array_equal(values[..., 0], ramp(2, 3, 4) % 2)


def with_value(value: float) -> np.ndarray:
    values = ramp(2, 3, 4).astype(np.float64)
    values[1, 1, 1:3] = value
    return values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (with_value(np.nan), "2 of 24 values are NaN or infinite"),
        (with_value(-np.inf), "2 of 24 values are NaN or infinite"),
        (with_value(1e300), "2 of 24 values are NaN or infinite as float32"),
        (np.full((2, 3, 4), 7), "every value is 7; there is nothing to explain"),
        (np.empty((0, 3, 4)), "empty"),
        (np.empty((2, 3, 4), object), "Python objects"),
        (np.zeros((2, 3, 4), complex), "complex128 values; give real numbers"),
        (np.zeros((2, 3, 4), "U1"), "give real numbers"),
        ([[1], [2, 3]], "not an array"),
    ],
)
def test_values_that_cannot_be_explained(values: np.ndarray, said: str) -> None:
    with pytest.raises(VolumeError, match=said):
        as_volume(values)


def test_what_is_too_large_is_refused() -> None:
    endless = np.broadcast_to(np.float32(1), (1024, 1024, 1024))
    with pytest.raises(VolumeError, match=r"1,073,741,824 values, more than 536,870,912; crop"):
        as_volume(endless)


def test_a_volume_says_what_it_needs() -> None:
    with pytest.raises(VolumeError, match="float32 \\(D, H, W, C\\), or use as_volume"):
        Volume(ramp(2, 3, 4))
    with pytest.raises(VolumeError, match="float64"):
        Volume(ramp(2, 3, 4, 1).astype(np.float64))
    with pytest.raises(VolumeError, match="affine of shape"):
        Volume(ramp(2, 3, 4, 1), np.eye(3))


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ramp(2, 3, 4, 5))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(ramp(2, 3, 4)))
    np.savez(tmp_path / "one.npz", ramp(3, 4, 5))
    np.savez_compressed(tmp_path / "some.npz", label=np.int64(3), volume=ramp(2, 3, 4), axis=[0, 1])
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", 5).values, ramp(2, 3, 4, 5))
    for name, shape in [
        ("fortran.npy", (2, 3, 4)),
        ("one.npz", (3, 4, 5)),
        ("some.npz", (2, 3, 4)),
    ]:
        volume = read_volume(tmp_path / name)
        np.testing.assert_array_equal(volume.values[..., 0], ramp(*shape))
        assert volume.affine is None
        assert volume.path == str(tmp_path / name)


def test_an_npz_of_several_volumes_names_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", t1=ramp(2, 3, 4), t2=ramp(2, 3, 5))
    said = r"'t1' \(2, 3, 4\), 't2' \(2, 3, 5\); save the one"
    with pytest.raises(VolumeError, match=said):
        read_volume(tmp_path / "a.npz")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(VolumeError, match="no arrays in it"):
        read_volume(tmp_path / "none.npz")


class Trap:
    """Tells when it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_pickles_are_refused(ending: str, tmp_path: Path) -> None:
    held = np.empty((1, 1, 2), object)
    held[:] = Trap()
    with (tmp_path / f"a.{ending}").open("wb") as stream:
        (np.save if ending == "npy" else np.savez)(stream, held)
    with pytest.raises(VolumeError, match="pickled objects, which could run code"):
        read_volume(tmp_path / f"a.{ending}")
    assert not Trap.sprung


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    header = io.BytesIO()
    promised = {"descr": "<f4", "fortran_order": False, "shape": (4096, 4096, 4096)}
    np.lib.format.write_array_header_1_0(header, promised)
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with pytest.raises(VolumeError, match="68,719,476,736 values, more than"):
        read_volume(tmp_path / "a.npy")


def test_a_table_with_fields_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), [("x", "f4"), ("y", "f4")]))
    with pytest.raises(VolumeError, match="give real numbers"):
        read_volume(tmp_path / "a.npy")


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize("kept", [0, 4, 100, -4])
def test_a_file_cut_short_is_told(ending: str, kept: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    write_volume(path, ramp(2, 3, 4))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(VolumeError, match=rf"a\.{ending}: (damaged|the file is empty)"):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.npy", "a.nii.gz", "a.dcm", "a.tif", "a.xyz", "folder"])
def test_what_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=f"{name}: no such file or folder"):
        read_volume(tmp_path / name)


def test_an_unknown_ending_names_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_bytes(b"ObjectType = Image")
    with pytest.raises(VolumeError, match=r"a\.mha: .*use \.npy, \.npz, \.nii, \.nii\.gz, .*DICOM"):
        read_volume(tmp_path / "a.mha")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 6), (7,)])
def test_what_is_written_is_float32(ending: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "folders" / "that are new" / f"hitze é.v1{ending.upper()}"
    write_volume(path, ramp(*shape).astype(np.float64))
    assert path.exists()
    if len(shape) == 3:
        np.testing.assert_array_equal(read_volume(path).values[..., 0], ramp(*shape))
    if ending == ".npy":
        written = np.load(path)
        assert written.dtype == np.float32
        np.testing.assert_array_equal(written, ramp(*shape))


def test_an_npz_keeps_the_affine(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2, 3, 1])
    write_volume(tmp_path / "a.npz", ramp(2, 3, 4), affine)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npz").affine, affine)


@pytest.mark.parametrize(
    ("name", "values", "affine", "said"),
    [
        ("a.png", ramp(2, 3, 4), None, r"use \.npy, \.npz, \.nii, \.nii\.gz"),
        ("a.nii", ramp(2, 3, 4, 1), None, r"shape \(2, 3, 4, 1\)"),
        ("a.npy", np.zeros((2, 3, 4), complex), None, "complex128"),
        ("a.nii", ramp(2, 3, 4), np.eye(3), "affine of shape"),
        ("file/a.nii", ramp(2, 3, 4), None, "cannot be written"),
    ],
)
def test_what_cannot_be_written(
    name: str, values: np.ndarray, affine: np.ndarray | None, said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VolumeError, match=said):
        write_volume(tmp_path / name, values, affine)
