"""Recorded maps of the libraries' methods: numpy and onnx are enough to read and compare them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .inputs import KINDS, Input
from .rebuild import RECORDINGS

FORMS = ("raw", "positive", "up to sign", "scaled")
"""How a recorded map is to be held against onnxcam's raw one.

"raw": as it is. "positive": its part above zero, which is what the formula's outer ReLU leaves.
"up to sign": a principal component's sign is arbitrary. "scaled": only the library's final map
can be reached, at the picture's size, minimum 0 and maximum 1.
"""


@dataclass(frozen=True)
class Recorded:
    """One method at one layer or several, for the first pictures of the network's batch.

    `parameters` are onnxcam's; `stride` says that only every so many pixels were kept, `drift`
    how far the map moves under rounding, `seconds` how long the library took in float32.
    """

    method: str
    layers: list[str]
    library: str
    form: str
    parameters: dict[str, Any] = field(default_factory=dict)
    pictures: int = 3
    stride: int = 1
    drift: float = 0.0
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """The name of the array that holds its maps (n, h, w)."""
        return " ".join([self.method, self.library.split()[0], *self.layers])

    @property
    def id(self) -> str:
        """What a test calls it."""
        return "-".join([self.method, "+".join(self.layers), self.library.split()[0]])


@dataclass(frozen=True)
class MethodMaps:
    """What the libraries say about one network: pictures, their classes, and the maps.

    `left_out` gives the maps that rounding moves too far to compare anything with, and how far.
    """

    network: str
    input: Input
    classes: list[int]
    environment: dict[str, str]
    recorded: list[Recorded]
    left_out: dict[str, float]
    arrays: dict[str, np.ndarray]

    def away(self, one: Recorded, raw: np.ndarray) -> float:
        """Largest difference of onnxcam's maps (n, h, w) from the library's, of its maximum."""
        return away(one.form, raw[:, :: one.stride, :: one.stride], self.arrays[one.key])


def away(form: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the library's largest absolute value, by picture."""
    if ours.shape != theirs.shape:
        raise ValueError(f"a map of shape {ours.shape}, recorded was {theirs.shape}")
    wanted = np.maximum(theirs, 0) if form == "positive" else theirs
    parts = []
    for a, b, whole in zip(ours, wanted, theirs, strict=True):
        apart = np.abs(a - b).max()
        if form == "up to sign":
            apart = min(apart, np.abs(a + b).max())
        parts.append(float(apart / np.abs(whole).max()))
    return float(np.max(parts))


def networks() -> list[str]:
    """The networks whose methods are recorded."""
    return sorted(path.parent.name for path in RECORDINGS.glob("*/methods.json"))


def read_maps(network: str) -> MethodMaps:
    """Read a recording."""
    folder = RECORDINGS / network
    fields: dict[str, Any] = json.loads((folder / "methods.json").read_text(encoding="utf-8"))
    with np.load(folder / "methods.npz") as stored:
        fields["arrays"] = {key: stored[key] for key in stored.files}
    kind = KINDS[fields["input"].pop("kind")]
    fields["input"] = kind(**fields["input"])
    fields["recorded"] = [Recorded(**entry) for entry in fields["recorded"]]
    return MethodMaps(**fields)


def write_maps(maps: MethodMaps) -> None:
    """Write a recording."""
    folder = RECORDINGS / maps.network
    fields: dict[str, Any] = {key: getattr(maps, key) for key in maps.__dataclass_fields__}
    arrays: Mapping[str, np.ndarray] = fields.pop("arrays")
    fields["recorded"] = [asdict(one) for one in maps.recorded]
    fields["input"] = {"kind": type(maps.input).__name__, **asdict(maps.input)}
    np.savez_compressed(folder / "methods.npz", **dict(arrays))
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    (folder / "methods.json").write_text(text + "\n", encoding="utf-8")
