"""How far a recipe's maps move under rounding."""

from collections.abc import Callable, Mapping

import numpy as np
from references.derivation import distance, nudges

Maps = Mapping[str, np.ndarray]


def drift(maps: Callable[[np.ndarray, str], Maps], x: np.ndarray, exact: Maps) -> float:
    """The farthest that a map, of an input in a precision, is from the exact one when computed in
    float32, or from an input off by a rounding error."""
    others = [maps(x, "float32"), *(maps(near, "float64") for near in nudges(x, 2))]
    return max(distance(other[key], exact[key]) for other in others for key in exact)
