"""The method that another one is built upon."""

from __future__ import annotations

from onnxcam.errors import MethodError
from onnxcam.methods.base import Baked
from onnxcam.methods.registry import find_method


def base_method(name: str, of: str) -> Baked:
    """A method by name whose map one layer and one gradient decide.

    Raises `MethodError` for any other, in the name of the method `of`.
    """
    found = find_method(name)
    if not isinstance(found, Baked) or found.joins_layers or "gradient" not in found.needs:
        raise MethodError(
            f"{of} builds on a method that weights one layer by its gradient, such as gradcam or "
            f"layercam, not on '{name}'"
        )
    return found
