"""The command line: argument parsing only, a file a command."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TextIO

import click

from onnxcam.errors import FallbackWarning, OnnxCamError
from onnxcam.version import __version__

_FILES = {
    "explain": "explain",
    "layers": "listings",
    "methods": "listings",
    "recipes": "listings",
    "rewrite": "rewrite",
    "check": "check",
    "ops": "listings",
}
"""The file of each command."""


class Commands(Mapping[str, click.Command]):
    """The commands by name; a file is imported when a command of it is first asked for."""

    def __getitem__(self, name: str) -> click.Command:
        command: click.Command = getattr(_imported(f"{__name__}.{_FILES[name]}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(_FILES)

    def __len__(self) -> int:
        return len(_FILES)


def _imported(name: str) -> Any:
    """A module.

    What importing makes stays for good: searching that for garbage, time and again while it grows
    and once more at the end, takes longer than much of the importing.
    """
    if name in sys.modules or not gc.isenabled():
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _said(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line, without the place in the program that it comes from."""
    click.echo(f"warning: {message}", err=True)


class Group(click.Group):
    """Turns every error that onnxcam raises on purpose into one line and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", FallbackWarning)
                warnings.showwarning = _said
                return super().invoke(ctx)
        except OnnxCamError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)


@click.group(
    cls=Group, commands=Commands(), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__)
def main() -> None:
    """Explain any exported vision model from its ONNX file alone."""
