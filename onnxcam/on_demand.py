"""Packages whose public names are imported when they are first asked for (PEP 562).

A command starts in a fraction of the time that all of a package takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module, util
from typing import Any


def on_demand(package: str, homes: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """A package's `__getattr__`, for the names in each of its modules, and for its modules."""
    home = {name: f"{package}.{module}" for module, names in homes.items() for name in names}

    def found(name: str) -> Any:
        module = f"{package}.{name}"
        if name in home:
            value = getattr(import_module(home[name]), name)
        elif not name.startswith("_") and util.find_spec(module):
            value = import_module(module)
        else:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        setattr(sys.modules[package], name, value)
        return value

    return found
