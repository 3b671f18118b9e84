"""Whether parameters are of the types that a method declares for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from types import NoneType
from typing import Any, get_args, get_type_hints

import numpy as np

from onnxcam.errors import MethodError

_WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a word",
    NoneType: "None",
}
SEED = "seed"


def require_types(method: type, name: str, parameters: Mapping[str, Any]) -> None:
    """Raise `MethodError` for a value that is of another type, or a seed below 0."""
    hints = get_type_hints(method)
    for parameter, value in parameters.items():
        hint = hints[parameter]
        if not _fits(value, hint):
            raise MethodError(f"method '{name}': {parameter} {value!r} is not {_words(hint)}")
        if parameter == SEED and value < 0:
            raise MethodError(f"method '{name}': {parameter} {value} is not from 0 on")


def _fits(value: Any, hint: Any) -> bool:
    if value is None or hint is NoneType:
        return value is None and NoneType in (hint, *get_args(hint))
    if isinstance(value, bool | np.bool_):
        return hint is bool
    if hint is int:
        return isinstance(value, Integral)
    if hint is float:
        return isinstance(value, Real)
    if hint is np.ndarray:
        return isinstance(value, np.ndarray | list | tuple)
    if _is_sequence(hint):
        return isinstance(value, list | tuple) and all(_fits(v, get_args(hint)[0]) for v in value)
    if get_args(hint):
        return any(_fits(value, one) for one in get_args(hint))
    return isinstance(value, hint)


def _is_sequence(hint: Any) -> bool:
    return getattr(hint, "__origin__", None) is Sequence


def _words(hint: Any) -> str:
    if hint is np.ndarray:
        return "an array"
    if _is_sequence(hint):
        return "a list of those"
    if get_args(hint):
        return " or ".join(_words(one) for one in get_args(hint))
    return _WORDS.get(hint, hint.__name__)
