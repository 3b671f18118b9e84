"""Weights in other files, and not where they are said to be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
from malformed.making import HUGE, Make, changed, refused, weight_of
from onnx import TensorProto


def external(**entries: str) -> Make:
    """A classifier with one weight in another file; the entries say where."""

    def change(model: onnx.ModelProto) -> None:
        tensor = weight_of(model)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)

    return changed(change)


def link(name: str, target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(target)


def bytes_at(name: str, count: int) -> Callable[[Path], int]:
    return lambda folder: (folder / name).write_bytes(bytes(count))


LENGTH = 6 * 3 * 3 * 3 * 4

refused(
    r"model\.onnx: its weights are in '[./a-z]*', which is not inside its folder",
    external_nowhere=external(),
    external_absolute=external(location="/etc/passwd"),
    external_device=external(location="/dev/zero"),
    external_above=external(location="../../../../../../etc/passwd"),
    external_up_and_down=external(location="a/../../weights.bin"),
)
refused(
    r"model\.onnx: its weights are in '.+', which is missing; put that file beside the model",
    external_missing=external(location="none.bin"),
    external_backslashes=external(location="..\\..\\weights.bin"),
    external_folder=external(location="."),
    external_basepath=external(location="passwd", basepath="/etc"),
)
refused(
    r"'zero\.bin', which is missing",
    link("zero.bin", "/dev/zero"),
    external_link_to_a_device=external(location="zero.bin"),
)
refused(
    "'pipe', which is missing",
    lambda folder: os.mkfifo(folder / "pipe"),
    external_pipe=external(location="pipe"),
)
refused(
    r"'outside\.bin', a link to a file outside its folder; put the file itself there",
    link("outside.bin", "/etc/passwd"),
    external_link_outside=external(location="outside.bin"),
)
refused(
    r"the weights 'conv1\.weight' are said to be makes no sense",
    link("loop.bin", "loop.bin"),
    external_link_to_itself=external(location="loop.bin"),
    external_with_nul=external(location="a\0b"),
    external_long=external(location="x" * 10_000),
)
refused(
    r"'weights\.bin' is cut short: it has 4 bytes, and the weights 'conv1\.weight' end at 648",
    bytes_at("weights.bin", 4),
    external_short=external(location="weights.bin"),
)
refused(
    rf"'long\.bin' is cut short: it has {LENGTH} bytes, and the weights 'conv1\.weight' end at \d+",
    bytes_at("long.bin", LENGTH),
    external_far=external(location="long.bin", offset=str(HUGE)),
    external_one_byte_late=external(location="long.bin", offset="1"),
)
refused(
    r"the weights 'conv1\.weight', \[6, 3, 3, 3\], take 648 bytes, but .* in 'long\.bin' are given",
    bytes_at("long.bin", LENGTH),
    external_before=external(location="long.bin", offset="-4"),
    external_long_length=external(location="long.bin", length=str(HUGE)),
)
refused(
    r"the weights 'conv1\.weight' are said to be makes no sense \(invalid literal",
    bytes_at("long.bin", LENGTH),
    external_odd_numbers=external(location="long.bin", offset="four", length="0x10"),
)
