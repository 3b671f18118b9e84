"""The command line: argument parsing only, a file a command."""

from __future__ import annotations

import warnings
from typing import Any, TextIO

import click

import onnxcam
from onnxcam.cli.check import check
from onnxcam.cli.explain import explain
from onnxcam.cli.listings import layers, methods, ops, recipes
from onnxcam.cli.rewrite import rewrite
from onnxcam.errors import FallbackWarning, OnnxCamError


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


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(onnxcam.__version__)
def main() -> None:
    """Explain any exported vision model from its ONNX file alone."""


for command in (explain, layers, methods, recipes, rewrite, check, ops):
    main.add_command(command)
