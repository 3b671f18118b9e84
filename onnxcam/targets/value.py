"""Numbers that are no classes: a regression's value, or any element of any tensor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import TargetError, nearest
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.graph.quantized import is_real
from onnxcam.targets.base import Case, Explained, seeds_of
from onnxcam.targets.scores import real

REDUCTIONS = {"mean": "ReduceMean", "sum": "ReduceSum"}


@dataclass(frozen=True)
class Value:
    """A number that the model gives a picture, or with `sign=-1` its fall.

    `output` is the name of an output, or of any other float tensor with the batch in front; left
    out, the model's first float output. `index` are positions along the axes behind the batch,
    one for each of the first ones, negative ones from the end, None for all along an axis; what
    stays open is reduced to its "mean" or "sum". So `Value()` is what a regression of one unit
    gives, and of a map it is the mean.
    """

    output: str | None = None
    index: tuple[int | None, ...] = ()
    sign: int = 1
    reduce: str = "mean"

    is_placed = True
    """An output may be a map, an index a position in it."""

    def __post_init__(self) -> None:
        if self.sign not in (1, -1):
            raise TargetError(f"sign {self.sign} is neither 1 nor -1")
        if self.reduce not in REDUCTIONS:
            raise TargetError(f"cannot reduce by '{self.reduce}'; there are 'mean' and 'sum'")

    @property
    def structure(self) -> Hashable:
        return self

    def settled(self, case: Case) -> Value:
        tensor = find_tensor(case.network, self.output)
        rest = list(tensor.shape[1:])
        if len(self.index) > len(rest):
            raise TargetError(
                f"'{tensor.name}' {tensor.shape} has {len(rest)} axes behind the batch, and the "
                f"index {_shown(self.index)} is for {len(self.index)}"
            )
        for axis, (at, length) in enumerate(zip(self.index, rest, strict=False), 1):
            if at is not None and isinstance(length, int) and not -length <= at < length:
                raise TargetError(
                    f"'{tensor.name}' {tensor.shape} has no index {at} along axis {axis}; "
                    f"there are 0 to {length - 1}"
                )
        return replace(self, output=tensor.name)

    def emit(self, e: Emitter) -> Explained:
        x = real(e, find_tensor(e.network, self.output))
        place = self._place(list(x.shape[1:]))
        x = e.cast(x, np.float32)
        if len(x.shape) < 2:
            x = e.reshape(x, [*x.shape, *[1] * (2 - len(x.shape))])
        for axis, at in enumerate(self.index, 1):
            if at is not None:
                x = _at(e, x, axis - len(x.shape), at)
        open_axes = [axis for axis in range(1 - len(x.shape), 0) if x.shape[axis] != 1]
        x = e.reshape(e.reduce(REDUCTIONS[self.reduce], x, open_axes), [x.shape[0], 1])
        score = x if self.sign > 0 else e.unary("Neg", x)
        index = e.expand(e.constant([[place]], np.int64), score)
        return Explained((), index, score, None, seeds_of(e, score))

    def feeds(self) -> dict[str, np.ndarray]:
        return {}

    def alone(self, n: int, index: np.ndarray) -> Value:
        return self

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return f"{'-' if self.sign < 0 else ''}{self._name}"

    def key(self, k: int, index: int) -> str:
        return f"fall-of-{self._name}" if self.sign < 0 else self._name

    @property
    def _name(self) -> str:
        summed = " sum" if self.reduce == "sum" else ""
        return f"{self.output or 'value'}{_shown(self.index)}{summed}"

    def _place(self, rest: Sequence[int | str | None]) -> int:
        """Number of the element among those of its picture; 0 where it is several."""
        lengths = [length for length in rest if isinstance(length, int)]
        given = [at for at in self.index if at is not None]
        if not len(given) == len(lengths) == len(rest):
            return 0
        positive = [at % length for at, length in zip(given, lengths, strict=True)]
        return int(np.ravel_multi_index(positive, lengths)) if rest else 0


def find_tensor(network: Network, name: str | None) -> gs.Tensor:
    """The first output of real numbers, or the tensor of that name.

    Raises `TargetError` with the outputs where there is none.
    """
    made = ", ".join(f"{t.name} {t.shape}" for t in network.graph.outputs) or "none"
    if name is None:
        tensor = next((t for t in network.graph.outputs if is_real(t)), None)
        if tensor is None:
            raise TargetError(f"no output holds real numbers; the model's outputs: {made}")
    elif name not in network.varying:
        near = nearest(name, network.varying)
        raise TargetError(f"no tensor '{name}'{near}; the model's outputs: {made}")
    else:
        tensor = network.tensors[name]
    if not is_real(tensor) or tensor.shape is None:
        raise TargetError(
            f"'{tensor.name}' ({tensor.dtype} {tensor.shape}) holds no real numbers of known "
            f"shape, so it has no gradient; the model's outputs: {made}"
        )
    return tensor


def _at(e: Emitter, x: gs.Tensor, axis: int, at: int) -> gs.Tensor:
    """One position along an axis, which stays, with length 1."""
    stop = at + 1 if at != -1 else np.iinfo(np.int64).max
    found = e.slice(x, axis, at, int(stop))
    found.shape[axis] = 1
    return found


def _shown(index: Sequence[int | None]) -> str:
    places = ",".join(":" if at is None else str(at) for at in index)
    return f"[{places}]" if index else ""
