"""The table of methods."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, TypeVar

from onnxcam.errors import MethodError, nearest
from onnxcam.methods.base import Method
from onnxcam.methods.parameters import require_types

_FILES = {
    "gradient.cam": ("cam",),
    "gradient.gradcam": ("gradcam",),
    "gradient.gradcam_minmax": ("gradcam-minmax",),
    "gradient.gradcam_plus_plus": ("gradcam++",),
    "gradient.xgradcam": ("xgradcam",),
    "gradient.elementwise": ("hirescam", "layercam", "gradcam-elementwise"),
    "layered.finercam": ("finercam",),
    "layered.fullgrad": ("fullgrad",),
    "layered.refinecam": ("refinecam",),
    "layered.shapleycam": ("shapleycam",),
    "layered.smoothgradcam": ("smoothgradcam++",),
    "projection.eigencam": ("eigencam", "eigengradcam", "segeigencam"),
    "projection.kpcacam": ("kpcacam",),
    "projection.fem": ("fem",),
    "projection.baselines": ("activation", "random"),
    "search.scorecam": ("scorecam",),
    "search.sscam": ("sscam",),
    "search.iscam": ("iscam",),
    "search.ablationcam": ("ablationcam",),
    "search.reciprocam": ("reciprocam", "vitreciprocam"),
    "search.occlusion": ("occlusion",),
    "search.rise": ("rise",),
    "attention.rollout": ("rollout",),
    "attention.legrad": ("legrad",),
    "attention.chefer": ("chefer",),
    "pixels.saliency": ("saliency", "inputxgradient"),
    "pixels.integrated": ("integratedgradients",),
    "pixels.noise": ("smoothgrad", "vargrad"),
    "pixels.guided": ("guidedbackprop", "deconvolution"),
    "pixels.guided_gradcam": ("guidedgradcam",),
    "pixels.lrp": ("lrp",),
}
"""The methods of each file, which is imported when one of them is asked for."""

_FILE = {name: file for file, names in _FILES.items() for name in names}
_METHODS: dict[str, type[Method]] = {}
_M = TypeVar("_M", bound=type[Method])


def register(method: _M) -> _M:
    """Put a method's class into the table under its name."""
    _METHODS[method.name] = method
    return method


def methods() -> list[type[Method]]:
    """All methods, by name."""
    return [_class_of(name) for name in sorted({*_FILE, *_METHODS})]


def _class_of(name: str) -> type[Method]:
    if name not in _METHODS:
        import_module(f"onnxcam.methods.{_FILE[name]}")
    return _METHODS[name]


def find_method(spec: str | Method, **parameters: Any) -> Method:
    """A method by name with its parameters, or as it is.

    Raises `MethodError` with the nearest names for a method or parameter that does not exist,
    and for values that a method cannot work with.
    """
    if isinstance(spec, Method):
        return spec
    known_names = {**_FILE, **_METHODS}
    if spec not in known_names:
        near = nearest(spec, known_names)
        raise MethodError(f"no method '{spec}'{near or '; there is ' + ', '.join(known_names)}")
    kind = _class_of(spec)
    known: list[str] = [field.name for field in fields(kind)] if is_dataclass(kind) else []
    for name in parameters:
        if name not in known:
            there = nearest(name, known) or f"; it has {', '.join(known) or 'none'}"
            raise MethodError(f"method '{spec}' has no parameter '{name}'{there}")
    require_types(kind, spec, parameters)
    return kind(**parameters)


def read_parameters(words: Iterable[str]) -> dict[str, Any]:
    """Parameters from "name=value" each; a value is a number, a bool, None, a list of those, or
    else a word. Raises `MethodError`.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise MethodError(f"'{word}' sets no parameter; write NAME=VALUE, such as samples=20")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def parameters_of(specs: Iterable[str], parameters: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters that each of several methods has, by the methods' names.

    Of one method all are its own. Raises `MethodError` for one that none of them has.
    """
    wanted = list(dict.fromkeys(specs))
    if len(wanted) == 1:
        return {wanted[0]: parameters}
    known = {spec: find_method(spec).parameters() for spec in wanted}
    for name in parameters:
        if not any(name in own for own in known.values()):
            near = nearest(name, [other for own in known.values() for other in own])
            raise MethodError(f"no parameter '{name}' of {', '.join(wanted)}{near}")
    return {
        spec: {name: value for name, value in parameters.items() if name in own}
        for spec, own in known.items()
    }
