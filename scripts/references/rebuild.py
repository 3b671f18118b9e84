"""Read a recording and build its ONNX model again: numpy and onnx are enough."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import onnx

from .inputs import KINDS, ROOT, Input
from .recipe import Draw

RECORDINGS = ROOT / "tests" / "references"


@dataclass(frozen=True)
class Refill:
    """How a constant of the exported graph follows from a drawn parameter.

    The parameter's axes are put in `order`, given the constant's shape, and, where the exporter
    folded a normalisation into it, multiplied along `scaled_axis` by the recorded array `scale`.
    """

    constant: str
    draw: Draw
    order: tuple[int, ...]
    scaled_axis: int | None = None
    scale: str | None = None

    def values(self, shape: tuple[int, ...], arrays: dict[str, np.ndarray]) -> np.ndarray:
        """The constant, float32, of the given shape."""
        filled = self.draw.values().transpose(self.order).reshape(shape)
        if self.scaled_axis is not None and self.scale is not None:
            filled = filled * along(arrays[self.scale], self.scaled_axis, len(shape))
        return np.ascontiguousarray(filled)


@dataclass(frozen=True)
class Reference:
    """One recorded network: its input, its answer, and its Grad-CAM at some layers.

    `layers` leads from the framework's layer path to the tensor of the exported graph, `maps` from
    the path to the true raw Grad-CAM (N, h, w), derived in the precision named by `precision`.
    """

    name: str
    model: str
    input: Input
    classes: list[int]
    layers: dict[str, str]
    precision: str
    environment: dict[str, str]
    drift: dict[str, float]
    refills: list[Refill]
    arrays: dict[str, np.ndarray]

    @property
    def x(self) -> np.ndarray:
        """The input, drawn again, in the model's own layout."""
        return self.input.values()

    @property
    def output(self) -> np.ndarray:
        """What the model answers to `x`."""
        return self.arrays["output"]

    def cam(self, path: str) -> np.ndarray:
        """The raw Grad-CAM (N, h, w) at a layer."""
        return self.arrays[f"cam {path}"]


def along(vector: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """Shape a vector so that it broadcasts along one axis."""
    return vector.reshape([-1 if i == axis else 1 for i in range(rank)])


def constants(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every constant of the graph by name: initializers, and the values of Constant nodes."""
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            yield node.output[0], node.attribute[0].t


def recorded() -> list[str]:
    """The names of all recordings."""
    return sorted(folder.parent.name for folder in RECORDINGS.glob("*/reference.json"))


def read(name: str) -> Reference:
    """Read a recording, without building its model."""
    folder = RECORDINGS / name
    fields = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as stored:
        fields["arrays"] = {key: stored[key] for key in stored.files}
    kind = KINDS[fields["input"].pop("kind")]
    fields["input"] = kind(**fields["input"])
    fields["refills"] = [
        Refill(**{**entry, "draw": Draw(**entry["draw"])}) for entry in fields["refills"]
    ]
    return Reference(**fields)


def write(reference: Reference) -> None:
    """Write all of a recording but its graph."""
    folder = RECORDINGS / reference.name
    folder.mkdir(parents=True, exist_ok=True)
    fields = {key: getattr(reference, key) for key in reference.__dataclass_fields__}
    fields["refills"] = [asdict(refill) for refill in reference.refills]
    fields["input"] = {"kind": type(reference.input).__name__, **asdict(reference.input)}
    np.savez_compressed(folder / "arrays.npz", **fields.pop("arrays"))
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    (folder / "reference.json").write_text(text + "\n", encoding="utf-8")


def build(reference: Reference) -> onnx.ModelProto:
    """The exported model again, weights included."""
    source = ROOT / reference.model
    if source.suffix != ".gz":
        return onnx.load(source)
    model = onnx.load_from_string(gzip.decompress(source.read_bytes()))
    refills = {refill.constant: refill for refill in reference.refills}
    for name, tensor in constants(model):
        if name in refills:
            values = refills[name].values(tuple(tensor.dims), reference.arrays)
            tensor.raw_data = values.tobytes()
    return model
