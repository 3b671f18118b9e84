"""DICOM: one series in a folder, one file of several frames, and what is no volume."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, place, write, write_enhanced, write_series
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from onnxcam.errors import VolumeError
from onnxcam.volumes import read_volume


def grey(depth: int = 5, height: int = 4, width: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (depth, height, width)).astype(np.int16)


def edit(path: Path, **tags: object) -> None:
    """Set tags of a file; None takes a tag away."""
    made = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    made.save_as(path)


def slices(folder: Path) -> list[Path]:
    """The files of a series from the first slice to the last."""
    return sorted(folder.iterdir(), key=lambda p: pydicom.dcmread(p).ImagePositionPatient[2])


def test_a_series_is_sorted_along_its_normal(tmp_path: Path) -> None:
    stored = grey()
    volume = read_volume(write_series(tmp_path / "s", stored, gap=2.5))
    np.testing.assert_array_equal(volume.values[..., 0], stored)
    assert volume.size == (5, 4, 6)
    assert volume.path == str(tmp_path / "s")


def test_slope_and_intercept_are_those_of_each_slice(tmp_path: Path) -> None:
    stored = grey()
    folder = write_series(tmp_path / "s", stored, RescaleSlope="0.5", RescaleIntercept="-1024")
    edit(slices(folder)[1], RescaleSlope="2", RescaleIntercept="3")
    meant = stored * 0.5 - 1024
    meant[1] = stored[1] * 2.0 + 3
    np.testing.assert_allclose(read_volume(folder).values[..., 0], meant)


def oblique() -> tuple[np.ndarray, np.ndarray]:
    """Directions along a row and along a column, turned about every axis."""
    turned, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    return turned[0], turned[1]


def test_a_voxel_of_an_oblique_series_lies_where_the_slice_says(tmp_path: Path) -> None:
    row, column = oblique()
    normal, start = np.cross(row, column), np.array([-80.0, 30.5, 12.25])
    stored, spacing = grey(), (0.75, 1.5)
    for k, pixels in enumerate(stored):
        tags = place(start + 2.25 * k * normal, (*row, *column), spacing)
        write(tmp_path / f"{9 - k}.dcm", pixels, **tags)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.values[..., 0], stored)
    for path in tmp_path.iterdir():
        header = pydicom.dcmread(path)
        index = 9 - int(path.stem)
        along_row, along_column = np.array(header.ImageOrientationPatient).reshape(2, 3)
        for i, j in [(0, 0), (3, 0), (0, 5), (2, 4)]:
            left_back_up = (
                np.array(header.ImagePositionPatient)
                + along_row * header.PixelSpacing[1] * j
                + along_column * header.PixelSpacing[0] * i
            )
            world = volume.affine @ [index, i, j, 1]
            np.testing.assert_allclose(world[:3], left_back_up * [-1, -1, 1], atol=1e-6)


def test_a_tilted_gantry_shears_the_affine(tmp_path: Path) -> None:
    for k, pixels in enumerate(grey(3)):
        write(tmp_path / f"{k}", pixels, **place((0, 0.5 * k, 2 * k)))
    np.testing.assert_allclose(read_volume(tmp_path).affine[:3, 0], [0, -0.5, 2])


def test_other_files_in_the_folder_are_left_out(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    (folder / "notes.txt").write_text("read me")
    (folder / "empty").touch()
    (folder / "inside").mkdir()
    report = write(folder / "report.dcm", grey()[0], SeriesInstanceUID="1.9")
    edit(report, Rows=None, Columns=None, PixelData=None)
    np.testing.assert_array_equal(read_volume(folder).values[..., 0], grey())


@pytest.mark.parametrize("name", ["one.dcm", "IM0001", "a.b"])
def test_one_slice_is_a_volume_whatever_its_name(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, grey()[0], **place((1, 2, 3)), SliceThickness="4")
    for source in (path, tmp_path):
        volume = read_volume(source)
        np.testing.assert_array_equal(volume.values, grey()[:1, ..., None])
        np.testing.assert_allclose(
            volume.affine, [[0, 0, -1, -1], [0, -1, 0, -2], [4, 0, 0, 3], [0, 0, 0, 1]]
        )


def test_without_positions_the_instance_number_sorts(tmp_path: Path) -> None:
    for k, pixels in enumerate(grey()):
        write(tmp_path / f"{9 - k}", pixels, InstanceNumber=k + 1)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.values[..., 0], grey())
    assert volume.affine is None
    edit(tmp_path / "9", InstanceNumber=3)
    with pytest.raises(VolumeError, match="neither positions nor numbers"):
        read_volume(tmp_path)


def test_white_where_low_is_turned_round_but_for_physical_units(tmp_path: Path) -> None:
    shown = {"PhotometricInterpretation": "MONOCHROME1"}
    folder = write_series(tmp_path / "mr", grey(), **shown)
    stored = grey().astype(float)
    turned = stored.max() + stored.min() - stored
    np.testing.assert_array_equal(read_volume(folder).values[..., 0], turned)
    folder = write_series(tmp_path / "ct", grey(), **shown, Modality="CT")
    np.testing.assert_array_equal(read_volume(folder).values[..., 0], stored)


def test_colours_are_channels(tmp_path: Path) -> None:
    colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    path = write(tmp_path / "rgb.dcm", colours)
    np.testing.assert_array_equal(read_volume(path, 3).values[0], colours)
    with pytest.raises(VolumeError, match=r"rgb\.dcm: 3 channels .*takes 1;"):
        read_volume(path)


def test_frames_are_sorted_and_each_is_rescaled(tmp_path: Path) -> None:
    stored = grey(4)
    heights = [2.0, 8.0, 4.0, 6.0]
    path = write_enhanced(tmp_path / "e.dcm", stored, [(5, 6, z) for z in heights])
    meant = stored * np.arange(1.0, 5)[:, None, None] + 10
    for source in (path, tmp_path):
        volume = read_volume(source)
        np.testing.assert_array_equal(volume.values[..., 0], meant[[0, 2, 3, 1]])
        np.testing.assert_allclose(
            volume.affine, [[0, 0, -0.25, -5], [0, -0.5, 0, -6], [2, 0, 0, 2], [0, 0, 0, 1]]
        )


def test_frames_without_places_keep_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "cine.dcm", grey(), **place((0, 0, 0)))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values[..., 0], grey())
    assert volume.affine is None


def test_frames_in_one_place_are_several_volumes(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "e.dcm", grey(2), [(0, 0, 1), (0, 0, 1)])
    with pytest.raises(VolumeError, match="frame 1 and frame 2 lie in the same place"):
        read_volume(path)


def test_compressed_pixels_are_unpacked(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    for path in folder.iterdir():
        made = pydicom.dcmread(path)
        made.compress(RLELossless)
        made.save_as(path)
    np.testing.assert_array_equal(read_volume(folder).values[..., 0], grey())


def as_if(path: Path, syntax: str) -> None:
    """Say that a file is compressed, with nothing that could be unpacked in it."""
    made = pydicom.dcmread(path)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = pydicom.encaps.encapsulate([b"none"])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.save_as(path)


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        (JPEGLSLossless, "JPEG-LS Lossless .*pip install pylibjpeg"),
        (JPEG2000Lossless, "JPEG 2000 .*pip install pylibjpeg"),
        ("1.2.840.10008.1.2.4.103", "is not read; save it uncompressed"),
    ],
)
def test_what_cannot_be_unpacked_names_the_packages(syntax: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", grey()[0])
    as_if(path, syntax)
    with pytest.raises(VolumeError, match=said):
        read_volume(path)


def test_two_series_are_named(tmp_path: Path) -> None:
    write_series(tmp_path, grey(), SeriesDescription="T1 axial")
    write(tmp_path / "z", grey()[0], SeriesInstanceUID="1.2.77", SeriesDescription="scout")
    with pytest.raises(VolumeError, match=r"2 series: 'T1 axial' \(5 x 1\.2.*'scout' \(1 x 1\.2"):
        read_volume(tmp_path)


SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (place((0, 0, 6)), "in the same place"),
        (place((0, 0, 14)), r"6 mm between .*\.dcm and odd\.dcm, 2 mm elsewhere: a slice is"),
        (place((0, 0, 10), SAGITTAL), "in different directions"),
        (place((0, 0, 10), AXIAL, (1, 2)), "different pixel spacing"),
    ],
)
def test_a_slice_that_does_not_fit_is_named(where: dict, said: str, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    write(folder / "odd.dcm", grey()[0], **where)
    with pytest.raises(VolumeError, match=said) as raised:
        read_volume(folder)
    assert "odd.dcm" in str(raised.value)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_slice_is_seen(missing: int, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    slices(folder)[missing].unlink()
    with pytest.raises(VolumeError, match=r"4 mm between .* a slice is missing"):
        read_volume(folder)


def test_directions_that_are_none(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    for path in folder.iterdir():
        edit(path, ImageOrientationPatient=[0, 0, 0, 0, 0, 0])
    with pytest.raises(VolumeError, match="no directions or spacing"):
        read_volume(folder)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (grey(1, 8, 6)[0], r"different sizes \(4 x 6 x 1, 8 x 6 x 1\)"),
        (np.zeros((4, 6, 3), np.uint8), r"different sizes \(4 x 6 x 1, 4 x 6 x 3\)"),
        (grey(2), "6 files, and several frames in one; name the file"),
    ],
)
def test_slices_of_two_shapes(odd: np.ndarray, said: str, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    write(folder / "odd.dcm", odd, **place((0, 0, 10)))
    with pytest.raises(VolumeError, match=said):
        read_volume(folder)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("Columns", "s: damaged.*'Columns'"),
        ("BitsAllocated", r"s/72\.dcm: damaged.*'Bits Allocated'"),
    ],
)
def test_a_header_that_lacks_something(tag: str, said: str, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", grey())
    edit(slices(folder)[2], **{tag: None})
    with pytest.raises(VolumeError, match=said):
        read_volume(folder)


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="no DICOM pictures in this folder"):
        read_volume(tmp_path)
    path = write(tmp_path / "a.dcm", grey()[0])
    edit(path, PixelData=None)
    with pytest.raises(VolumeError, match=r"a\.dcm: no pixel data; export the pictures"):
        read_volume(tmp_path)
    edit(path, Rows=None)
    with pytest.raises(VolumeError, match=r"a\.dcm: no pixel data; name a file"):
        read_volume(path)
    path.write_bytes(b"not DICOM")
    with pytest.raises(VolumeError, match="not a DICOM file"):
        read_volume(path)


def test_a_palette_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p", grey()[0], PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(VolumeError, match="palette"):
        read_volume(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kept", [140, 300, 500, -7])
def test_a_file_cut_short_is_told(kept: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", grey(1, 32, 32)[0], **place((0, 0, 0)))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(VolumeError, match=r"a\.dcm: "):
        read_volume(path)


def test_what_is_too_large_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.arrays.LARGEST", 100)
    folder = write_series(tmp_path / "s", grey())
    with pytest.raises(VolumeError, match="5 x 4 x 6 x 1 is 120 values, more than 100"):
        read_volume(folder)


def test_the_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.dcm", grey()[0])
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for source in (path, tmp_path):
        with pytest.raises(VolumeError, match=r"need pydicom .*pip install 'onnxcam\[volumes\]'"):
            read_volume(source)
