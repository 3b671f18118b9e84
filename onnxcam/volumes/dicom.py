"""DICOM: a folder with the files of one series, or one file of one or more frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxcam.array_files import reading
from onnxcam.arrays import as_values, refuse_large
from onnxcam.errors import VolumeError
from onnxcam.volumes.extra import needs_extra
from onnxcam.volumes.planes import Plane, stack
from onnxcam.volumes.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

_PREAMBLE, _MARK = 128, b"DICM"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_PHYSICAL = ("CT", "PT")
"""Modalities whose values are units (Hounsfield, activity), however they are shown."""

_NAMED = 3
"""Series that an error names."""

_DECODERS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"


def is_dicom(path: Path) -> bool:
    """Whether a file has the mark of a DICOM file (PS3.10, 7.1), whatever its name."""
    with reading(path), path.open("rb") as stream:
        return stream.read(_PREAMBLE + len(_MARK))[_PREAMBLE:] == _MARK


def read_folder(folder: Path) -> Volume:
    """The one series in a folder as (slices, rows, columns, channels), sorted along its normal.

    Files that are not DICOM, and DICOM files without pictures (reports, structures), are left
    out; folders inside are not searched. Slices without a position are sorted by their instance
    number. Raises `VolumeError`.
    """
    with needs_extra("pydicom", "DICOM"):
        import pydicom
    headers: dict[Path, FileDataset] = {}
    with reading(folder):
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
        for path in filter(is_dicom, files):
            with reading(path):
                header = pydicom.dcmread(path, stop_before_pixels=True)
            if "Rows" in header:
                headers[path] = header
        if not headers:
            raise VolumeError(
                f"{folder}: no DICOM pictures in this folder (those inside it are not searched)"
            )
        if len(headers) == 1:
            return read_file(next(iter(headers)))
        _refuse_mixture(headers, folder)
        order, affine = _arranged(headers, folder)
        paths = list(headers)
        first = headers[paths[0]]
        values = _room(first, len(order), folder)
        for place, index in enumerate(order):
            with reading(paths[index]):
                dataset = pydicom.dcmread(paths[index])
                values[place] = next(_decoded(dataset, paths[index]))
        return Volume(_as_shown(values, first, folder), affine, str(folder))


def read_file(path: Path) -> Volume:
    """One file as (frames, rows, columns, channels); frames with positions are sorted by them."""
    with needs_extra("pydicom", "DICOM"):
        import pydicom
    with reading(path):
        if not is_dicom(path):
            raise VolumeError(f"{path}: not a DICOM file; export it again")
        dataset = pydicom.dcmread(path)
        if "Rows" not in dataset:
            raise VolumeError(f"{path}: no pixel data; name a file that holds a picture")
        count = _frame_count(dataset)
        values = _room(dataset, count, path)
        planes = [_plane(dataset, frame, f"frame {frame + 1}") for frame in range(count)]
        known = [plane for plane in planes if plane is not None]
        order, affine = list(range(count)), None
        if len(known) == count:
            order, affine = stack(known, str(path))
        for place, pixels in zip(np.argsort(order), _decoded(dataset, path), strict=True):
            values[place] = pixels
        return Volume(_as_shown(values, dataset, path), affine, str(path))


def _room(header: Dataset, count: int, path: Path) -> NDArray[np.float32]:
    """(frames, rows, columns, channels), to be filled."""
    shape = (count, *_shape(header))
    refuse_large(shape, str(path))
    return np.empty(shape, np.float32)


def _as_shown(values: NDArray[np.float32], header: Dataset, path: Path) -> NDArray[np.float32]:
    """Bright means more: where white is low (MONOCHROME1), values are turned round their range."""
    values = as_values(values, str(path))
    white_is_low = header.get("PhotometricInterpretation") == "MONOCHROME1"
    if white_is_low and header.get("Modality") not in _PHYSICAL:
        return values.max() + values.min() - values
    return values


def _refuse_mixture(headers: dict[Path, FileDataset], folder: Path) -> None:
    """`VolumeError` unless the files are one series of equally large slices."""
    series: dict[str, list[Dataset]] = {}
    for header in headers.values():
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    if len(series) > 1:
        named = ", ".join(
            f"'{files[0].get('SeriesDescription') or 'no description'}' ({len(files)} x {uid})"
            for uid, files in list(series.items())[:_NAMED]
        )
        more = ", .." if len(series) > _NAMED else ""
        raise VolumeError(
            f"{folder}: {len(series)} series: {named}{more}; put one into a folder of its own"
        )
    if any(_frame_count(header) > 1 for header in headers.values()):
        raise VolumeError(
            f"{folder}: {len(headers)} files, and several frames in one; name the file to explain"
        )
    shapes = sorted({_shape(header) for header in headers.values()})
    if len(shapes) > 1:
        named = ", ".join(" x ".join(map(str, shape)) for shape in shapes[:_NAMED])
        raise VolumeError(f"{folder}: slices of different sizes ({named}); keep one stack of them")


def _arranged(
    headers: dict[Path, FileDataset], folder: Path
) -> tuple[Sequence[int], NDArray[np.float64] | None]:
    """The slices' order, and the affine where the files say where they lie."""
    planes = [_plane(header, 0, path.name) for path, header in headers.items()]
    known = [plane for plane in planes if plane is not None]
    if len(known) == len(planes):
        return stack(known, str(folder))
    numbers = [header.get("InstanceNumber") for header in headers.values()]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise VolumeError(
            f"{folder}: the slices have neither positions nor numbers to sort them by; "
            "stack them yourself, as .npy"
        )
    return [int(index) for index in np.argsort([int(number) for number in numbers])], None


def _shape(header: Dataset) -> tuple[int, int, int]:
    """(rows, columns, channels) of each frame."""
    return header.Rows, header.Columns, header.get("SamplesPerPixel", 1)


def _frame_count(header: Dataset) -> int:
    return int(header.get("NumberOfFrames") or 1)


def _group(dataset: Dataset, frame: int, sequence: str) -> Dataset:
    """What tells a property of a frame: its functional group, the shared one, or the file.

    PS3.3, C.7.6.16: only enhanced multi-frame files have functional groups.
    """
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in [*frames[frame : frame + 1], *shared[:1]]:
        if group.get(sequence):
            return group[sequence][0]
    return dataset


def _plane(dataset: Dataset, frame: int, name: str) -> Plane | None:
    """None where the file does not say where the frame lies."""
    measures = _group(dataset, frame, "PixelMeasuresSequence")
    position = _group(dataset, frame, "PlanePositionSequence").get("ImagePositionPatient")
    directions = _group(dataset, frame, "PlaneOrientationSequence").get("ImageOrientationPatient")
    spacing = measures.get("PixelSpacing")
    if not (position and directions and spacing):
        return None
    if _frame_count(dataset) > 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        return None  # one position for all frames
    thickness = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 1.0
    return Plane(
        name,
        np.array(position, np.float64),
        np.array(directions, np.float64).reshape(2, 3),
        np.array(spacing, np.float64),
        abs(float(thickness)),
    )


def _decoded(dataset: FileDataset, path: Path) -> Iterator[np.ndarray]:
    """Each frame as (rows, columns, channels), rescaled to what its values mean."""
    from pydicom.pixels import apply_modality_lut

    if not any(word in dataset for word in _PIXELS):
        raise VolumeError(f"{path}: no pixel data; export the pictures, not their headers alone")
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise VolumeError(f"{path}: colours of a palette are not read; save it as grey or RGB")
    shape = _shape(dataset)
    for frame, values in enumerate(_unpacked(dataset, path).reshape(-1, *shape)):
        if shape[-1] == 1:  # PS3.3, C.11.1: rescaling is for grey values
            meaning = _group(dataset, frame, "PixelValueTransformationSequence")
            values = apply_modality_lut(values, meaning)
        yield values


def _unpacked(dataset: FileDataset, path: Path) -> np.ndarray:
    """The pixels as stored; `VolumeError` names the packages that unpack compressed ones."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise VolumeError(f"{path}: {syntax.name} is not read; save it uncompressed") from None
    if not decoder.is_available:
        raise VolumeError(f"{path}: {syntax.name} needs a decoder; {_DECODERS}")
    try:
        return dataset.pixel_array
    except Exception as error:
        if not syntax.is_compressed:
            raise
        reason = str(error).strip().splitlines()[-1:]
        raise VolumeError(
            f"{path}: {syntax.name} cannot be decoded ({' '.join(reason).strip()}); "
            f"if the file is whole: {_DECODERS}"
        ) from error
