"""Recorded maps of the libraries' methods: numpy and onnx are enough to read and compare them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from .derivation import CONDITIONING
from .inputs import KINDS, Cuts, Drawn
from .rebuild import RECORDINGS

FORMS = ("raw", "positive", "cut off", "up to sign", "scaled")
"""How a recorded map is to be held against onnxcam's raw one.

"raw": as it is. "positive": its part above zero, which is what the formula's outer ReLU leaves.
"cut off": the library cuts off below zero what the formula has signed.
"up to sign": a principal component's sign is arbitrary. "scaled": only the library's final map
can be reached, at the picture's size, minimum 0 and maximum 1.
"""

DIFFERENCES_OF_SCORES = 5e-5
"""How far rounding may move a map of Ablation-CAM, in the place of `derivation.CONDITIONING`.

Its weights are small differences of large numbers, of which float32 keeps fewer digits whatever
the network; half of what the comparison allows is left for them."""


def conditioning(method: str) -> float:
    """How far rounding may move a method's map, lest it be left out."""
    return DIFFERENCES_OF_SCORES if method == "ablationcam" else CONDITIONING


@dataclass(frozen=True)
class Recorded:
    """One method at one layer or several, for the first pictures of the network's batch.

    `parameters` and `smooth` are onnxcam's; `stride` says that only every so many pixels were
    kept, `drift` how far the map moves under rounding, `seconds` how long the library took in
    float32.
    """

    method: str
    layers: list[str]
    library: str
    form: str
    parameters: dict[str, Any] = field(default_factory=dict)
    smooth: str | None = None
    pictures: int = 3
    stride: int = 1
    drift: float = 0.0
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """The name of the array that holds its maps (n, h, w)."""
        return " ".join([self.method, self.library.split()[0], *self.layers, *self._smoothed])

    @property
    def id(self) -> str:
        """What a test calls it."""
        library = self.library.split()[0]
        return "-".join([self.method, "+".join(self.layers), library, *self._smoothed])

    @property
    def _smoothed(self) -> list[str]:
        return [self.smooth] if self.smooth else []


@dataclass(frozen=True)
class MethodMaps:
    """What the libraries say about one network: pictures, their classes, and the maps.

    `name` is that of the folder, of which a network may have several, one for each set of pictures.
    `left_out` gives the maps that rounding moves too far to compare anything with, and how far.
    """

    name: str
    network: str
    input: Drawn | Cuts
    classes: list[int]
    environment: dict[str, str]
    recorded: list[Recorded]
    left_out: dict[str, float]
    arrays: dict[str, np.ndarray]

    def add(self, one: Recorded, found: np.ndarray) -> None:
        """Take in one method's maps."""
        self.recorded.append(one)
        self.arrays[one.key] = found

    def entry(self, asked: Recorded) -> Recorded | None:
        """What is recorded of just that: method, layers, parameters and the rest."""
        for one in self.recorded:
            if replace(one, drift=asked.drift, seconds=asked.seconds) == asked:
                return one
        return None

    def away(self, one: Recorded, raw: np.ndarray) -> float:
        """Largest difference of onnxcam's maps (n, h, w) from the library's, of its maximum."""
        return away(one.form, raw[:, :: one.stride, :: one.stride], self.arrays[one.key])


def away(form: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the library's largest absolute value, by picture."""
    if ours.shape != theirs.shape:
        raise ValueError(f"a map of shape {ours.shape}, recorded was {theirs.shape}")
    wanted = np.maximum(theirs, 0) if form == "positive" else theirs
    parts = []
    if form == "cut off":
        ours = np.maximum(ours, 0)
    for a, b, whole in zip(ours, wanted, theirs, strict=True):
        apart = np.abs(a - b).max()
        if form == "up to sign":
            apart = min(apart, np.abs(a + b).max())
        parts.append(float(apart / np.abs(whole).max()))
    return float(np.max(parts))


def studies() -> list[str]:
    """The recordings of methods, by the names of their folders."""
    return sorted(path.parent.name for path in RECORDINGS.glob("*/methods.json"))


def read_maps(name: str) -> MethodMaps:
    """Read a recording."""
    folder = RECORDINGS / name
    fields: dict[str, Any] = json.loads((folder / "methods.json").read_text(encoding="utf-8"))
    with np.load(folder / "methods.npz") as stored:
        fields["arrays"] = {key: stored[key] for key in stored.files}
    kind = KINDS[fields["input"].pop("kind")]
    fields["input"]["shape"] = tuple(fields["input"]["shape"])
    fields["input"] = kind(**fields["input"])
    fields["recorded"] = [Recorded(**entry) for entry in fields["recorded"]]
    return MethodMaps(**fields)


def write_maps(maps: MethodMaps) -> None:
    """Write a recording."""
    folder = RECORDINGS / maps.name
    folder.mkdir(exist_ok=True)
    fields: dict[str, Any] = {key: getattr(maps, key) for key in maps.__dataclass_fields__}
    arrays: Mapping[str, np.ndarray] = fields.pop("arrays")
    fields["recorded"] = [asdict(one) for one in maps.recorded]
    fields["input"] = {"kind": type(maps.input).__name__, **asdict(maps.input)}
    np.savez_compressed(folder / "methods.npz", **dict(arrays))
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    (folder / "methods.json").write_text(text + "\n", encoding="utf-8")
