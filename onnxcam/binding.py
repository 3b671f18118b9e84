"""How a session is run: on arrays as they are, or bound to the device that it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import numpy as np

from onnxcam.errors import ExecutionError
from onnxcam.providers import CUDA, TENSORRT, Provider

_GRAPHS = {CUDA: "enable_cuda_graph", TENSORRT: "trt_cuda_graph_enable"}
"""The option that has a provider record its work once and replay it."""


class Runs(Protocol):
    """Runs a session for some of its outputs."""

    def __call__(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str], options: Any
    ) -> list[np.ndarray]: ...


@dataclass(frozen=True)
class Direct:
    """Arrays in, arrays out: on the CPU nothing is copied."""

    session: Any

    def __call__(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str], options: Any
    ) -> list[np.ndarray]:
        return list(self.session.run(list(outputs), feeds, options))


@dataclass(frozen=True)
class Bound:
    """Inputs go to the device that reads them; of the outputs, those asked for leave it.

    The others are neither copied nor turned into arrays.
    """

    session: Any
    runtime: Any

    def __call__(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str], options: Any
    ) -> list[np.ndarray]:
        binding = self.session.io_binding()
        for name, value in feeds.items():
            # `bind_cpu_input` does not know inputs that may be left out.
            held = self.runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
            binding.bind_ortvalue_input(name, held)
        for name in outputs:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding, options)
        return list(binding.copy_outputs_to_cpu())


@dataclass
class Replayed:
    """For CUDA graphs: a recorded run reads and writes at the places of the first one.

    So the inputs are copied to where those of the first run were, all of one shape, and the
    outputs are always the same ones. ONNX Runtime allows one run at a time; others wait.
    """

    session: Any
    runtime: Any
    device: str
    device_id: int
    _inputs: dict[str, Any] = field(default_factory=dict)
    _binding: Any = None
    _outputs: tuple[str, ...] = ()
    _turn: Lock = field(default_factory=Lock)

    def __call__(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str], options: Any
    ) -> list[np.ndarray]:
        values = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        with self._turn:
            if self._binding is None:
                self._record(values, options)
            else:
                self._update(values)
                self.session.run_with_iobinding(self._binding, options)
            found = dict(zip(self._outputs, self._results(), strict=True))
            # On the CPU an array would be a view of what the next run overwrites.
            return [np.array(found[name].numpy()) for name in outputs]

    def _results(self) -> list[Any]:
        """The outputs, where the session leaves them."""
        return list(self._binding.get_outputs())

    def _record(self, values: dict[str, np.ndarray], options: Any) -> None:
        binding = self.session.io_binding()
        place = (self.device, self.device_id)
        held = {
            name: self.runtime.OrtValue.ortvalue_from_numpy(value, *place)
            for name, value in values.items()
        }
        for name, value in held.items():
            binding.bind_ortvalue_input(name, value)
        outputs = tuple(output.name for output in self.session.get_outputs())
        for name in outputs:
            binding.bind_output(name, *place)
        self.session.run_with_iobinding(binding, options)
        self._binding, self._inputs, self._outputs = binding, held, outputs

    def _update(self, values: dict[str, np.ndarray]) -> None:
        taken = {name: tuple(held.shape()) for name, held in self._inputs.items()}
        given = {name: value.shape for name, value in values.items()}
        if given != taken:
            raise ExecutionError(
                f"a CUDA graph repeats runs of one shape: it was recorded for {_listed(taken)}, "
                f"and now there is {_listed(given)}; keep to one batch size, or leave "
                f"{' and '.join(_GRAPHS.values())} out"
            )
        for name, value in values.items():
            self._inputs[name].update_inplace(value)


def runs_of(runtime: Any, session: Any, provider: Provider) -> Runs:
    """How to run a session that started on a provider."""
    if provider.short == "cpu":
        return Direct(session)
    if is_recorded(provider):
        return Replayed(session, runtime, "cuda", int(provider.options.get("device_id", 0)))
    return Bound(session, runtime)


def is_recorded(provider: Provider) -> bool:
    """Whether a CUDA graph is asked for."""
    option = _GRAPHS.get(provider.name, "")
    return str(provider.options.get(option, 0)).lower() in ("1", "true")


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
