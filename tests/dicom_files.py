"""Small DICOM files, written slice by slice or with all their frames in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian

SERIES = "1.2.826.0.1.3680043.8.498.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

Numbers = tuple[float, ...] | np.ndarray


def dataset(pixels: np.ndarray, **tags: Any) -> FileDataset:
    """Stored integers (rows, columns), (frames, rows, columns) or (rows, columns, 3)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.ndim == 3 and not colour:
        made.NumberOfFrames = len(pixels)
    made.Rows, made.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    made.SamplesPerPixel = 3 if colour else 1
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    made.SeriesInstanceUID, made.Modality = SERIES, "MR"
    made.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def write(path: Path, pixels: np.ndarray, **tags: Any) -> Path:
    made = dataset(pixels, **tags)
    made.save_as(path, enforce_file_format=True)
    return path


def place(position: Numbers, directions: Numbers = AXIAL, spacing: Numbers = (1, 1)) -> dict:
    """The tags that say where a slice lies."""
    return {
        "ImagePositionPatient": [f"{x:.10g}" for x in position],
        "ImageOrientationPatient": [f"{x:.10g}" for x in directions],
        "PixelSpacing": [f"{x:.10g}" for x in spacing],
    }


def write_series(folder: Path, values: np.ndarray, gap: float = 2.0, **tags: Any) -> Path:
    """Slices (D, H, W) along the body's axis, in files whose names tell nothing of their order."""
    folder.mkdir(exist_ok=True)
    for k, pixels in enumerate(values):
        name = f"{(7 * k + 3) % 10}{k}.dcm"
        write(folder / name, pixels, **place((0, 0, gap * k)), InstanceNumber=k + 1, **tags)
    return folder


def write_enhanced(path: Path, values: np.ndarray, places: list[Numbers], **tags: Any) -> Path:
    """An enhanced multi-frame file: orientation and spacing shared, positions of each frame."""
    shared, groups = Dataset(), []
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.25], 3
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    for k, position in enumerate(places):
        group, at, meaning = Dataset(), Dataset(), Dataset()
        at.ImagePositionPatient = list(position)
        meaning.RescaleSlope, meaning.RescaleIntercept = k + 1, 10
        group.PlanePositionSequence = [at]
        group.PixelValueTransformationSequence = [meaning]
        groups.append(group)
    return write(
        path,
        values,
        SOPClassUID=EnhancedMRImageStorage,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        **tags,
    )
