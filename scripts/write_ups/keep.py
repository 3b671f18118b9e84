"""Write what a write-up's recipe says, as `references` does: `tests/references/write_ups/NAME`.

Beside a recording's files lie the recipe's own pictures, PNG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnx
from references.derivation import CONDITIONING, distance
from references.inputs import Input
from references.locate import locate, predict
from references.rebuild import RECORDINGS, Reference, build, read, write
from references.recipe import Draw
from references.record import EXPORTED, REBUILT, require, store
from references.strip import strip

from write_ups.kept import FOLDER


@dataclass(frozen=True)
class Found:
    """What one recipe gives: `model` as exported, `draws` its drawn weights, `output` what it
    answers to the source, `activations` of the target layers, `arrays` the maps in `precision`,
    `drift` how far they move under rounding, `pictures` uint8 RGB by name."""

    name: str
    source: Input
    model: onnx.ModelProto
    draws: Sequence[Draw]
    classes: list[int]
    output: np.ndarray
    activations: dict[str, np.ndarray]
    arrays: Mapping[str, np.ndarray]
    precision: str
    drift: float
    environment: dict[str, str]
    pictures: Mapping[str, np.ndarray]


def keep(found: Found) -> str:
    """Write a recording, read it back to see that it still answers, and say how large it is."""
    x, name = found.source.values(), f"{FOLDER}/{found.name}"
    answer = predict(found.model, x)
    require("exported answer", distance(answer, found.output), EXPORTED)
    require("drift", found.drift, CONDITIONING)
    graph, refills, scales = strip(found.model, found.draws)
    arrays = {key: values.astype(np.float32) for key, values in found.arrays.items()}
    reference = Reference(
        name=name,
        model=store(name, graph),
        input=found.source,
        classes=found.classes,
        layers=locate(found.model, x, found.activations),
        precision=found.precision,
        environment=found.environment,
        drift={path: float(f"{found.drift:.1e}") for path in found.activations},
        refills=refills,
        arrays={"output": found.output, **arrays, **scales},
    )
    write(reference)
    for what, picture in found.pictures.items():
        cv2.imwrite(str(RECORDINGS / name / f"{what}.png"), picture[..., ::-1])
    require("rebuilt answer", distance(predict(build(read(name)), x), answer), REBUILT)
    size = sum(file.stat().st_size for file in (RECORDINGS / name).iterdir())
    return f"{found.name}: {size / 1000:.0f} kB; drift {found.drift:.0e}"
