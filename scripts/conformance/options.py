"""Where the runtimes are, on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import click

from conformance.runtimes import Places

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

EXTRA = click.option("--extra", multiple=True, type=FILE, help="A further model.")

_PLACES = (
    click.option("--openvino-python", help="A Python with openvino and numpy."),
    click.option("--onnxruntime-python", help="A Python with onnxruntime-gpu."),
    click.option("--node", help="Default: the one on the path."),
    click.option(
        "--node-modules", type=FOLDER, help="With onnxruntime-node and onnxruntime-web in it."
    ),
    click.option("--chromium", help="Default: the one on the path."),
    click.option("--include", type=FOLDER, help="With onnxruntime_c_api.h in it."),
)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option a place."""
    return reduce(lambda made, option: option(made), reversed(_PLACES), command)


def places(given: Mapping[str, Any]) -> Places:
    """What was said; what was not keeps its default."""
    return Places(**{name: value for name, value in given.items() if value is not None})
