"""Execution providers: what somebody calls them, their options, and the order to try them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxcam.errors import ExecutionError, nearest

ProviderSpec = str | tuple[str, Mapping[str, Any]]
"""A name, "cuda" or "CUDAExecutionProvider", a device behind it, "cuda:1", or a name with ONNX
Runtime's options of that provider, ("cuda", {"device_id": 1})."""

Providers = str | Sequence[ProviderSpec] | None
"""One, or several in order of preference; None is `AUTO`."""

AUTO = "auto"
"""The best one that is there, of `_UNASKED`."""

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_SUFFIX = "ExecutionProvider"

_UNASKED = (CUDA, CPU)
"""Others than CUDA only on request, because some compile for minutes."""

_DEVICE_OPTION = {CPU: None, "OpenVINOExecutionProvider": "device_type"}
"""What a device behind the name sets, where that is not `device_id`, a number."""


@dataclass(frozen=True)
class Provider:
    """One provider, by ONNX Runtime's name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """What it is called on the command line."""
        return short_name(self.name)


@dataclass(frozen=True)
class Plan:
    """Providers in the order to try them, the CPU last.

    The first that starts is used, if it is among the first `accepted`: the CPU behind what was
    asked for by name runs the operators that a device lacks, and not the whole model. `missing`
    were asked for too, and ONNX Runtime is built without them.
    """

    providers: tuple[Provider, ...]
    accepted: int
    missing: tuple[str, ...] = ()


def plan(runtime: Any, wanted: Providers) -> Plan:
    """What to try, given the onnxruntime module; `ExecutionError` for what is not there."""
    available = runtime.get_available_providers()
    specs = [wanted] if isinstance(wanted, str) else list(wanted or [AUTO])
    found: list[Provider] = []
    missing: list[str] = []
    for spec in specs:
        meant = _best(available) if spec == AUTO else [_read(runtime, spec)]
        for one in meant:
            if one.name not in available:
                missing.append(one.short)
            elif all(one.name != other.name for other in found):
                found.append(one)
    if not found:
        raise _absent(missing[0], available)
    behind = [] if any(one.name == CPU for one in found) else [Provider(CPU)]
    return Plan((*found, *behind), len(found), tuple(missing))


def _best(available: Sequence[str]) -> list[Provider]:
    return [Provider(name) for name in _UNASKED if name in available]


def short_name(name: str) -> str:
    """ "cuda" for "CUDAExecutionProvider"."""
    return name.removesuffix(_SUFFIX).lower()


def _read(runtime: Any, spec: ProviderSpec) -> Provider:
    """A provider as ONNX Runtime knows it, whether this build has it or not."""
    said, options = (spec, {}) if isinstance(spec, str) else spec
    name, _, device = said.partition(":")
    available = runtime.get_available_providers()
    every = dict.fromkeys([*available, *runtime.get_all_providers()])
    known = {short_name(one): one for one in reversed(every)}
    full = known.get(name.lower().removesuffix(_SUFFIX.lower()))
    if full is None:
        raise _absent(name, available, nearest(name, [*map(short_name, available), *available]))
    return Provider(full, {**_device(full, device), **options})


def _device(name: str, device: str) -> dict[str, Any]:
    if not device:
        return {}
    option = _DEVICE_OPTION.get(name, "device_id")
    if option is None:
        raise ExecutionError(f"'{short_name(name)}:{device}': this provider has one device only")
    if option == "device_id" and not device.isdecimal():
        raise ExecutionError(
            f"'{short_name(name)}:{device}': a device of this provider is a number, such as "
            f"{short_name(name)}:0"
        )
    return {option: device}


def _absent(name: str, available: Sequence[str], near: str = "") -> ExecutionError:
    return ExecutionError(
        f"execution provider '{name}' is not there{near}; this onnxruntime has: "
        f"{', '.join(available)}"
    )
