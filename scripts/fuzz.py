"""Break ONNX files at random, and count what onnxcam makes of them.

A model is changed as a message (fields deleted, doubled, swapped, renamed, set to odd numbers) or
as bytes (flipped, cut, spliced), and every public door gets to see the result (`doors`). Each must
end in an answer or in an `OnnxCamError`: a bare exception, a crash, a hang or a gulp of memory is
bad, and is printed with the seed that makes it again. Without FILES the models are those of
models/ up to 1 MB, the tests' own, and the tests of single operators that the onnx package brings.

Environment: pip install -e '.[test]'
Run from the repository root: python scripts/fuzz.py [--count N] [--seed FIRST] [FILE ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import builders
from autodiff.backend_cases import GROUPS, cases_of
from doors import ANSWERED, Apart, bad

Random = np.random.Generator

MODELS = Path(__file__).resolve().parents[1] / "models"

LARGEST = 2**20
"""Bytes of a model that is taken without being named."""

SECONDS = 60.0
"""How long all doors together may take for one model."""

RUNTIME = "crashes of ONNX Runtime itself"
KINDS = ("accepted", "refused", RUNTIME, "bad")
"""The ends that a broken model can come to."""

NUMBERS = (0, 1, 2, 3, -1, -2, 7, 16, 255, 999, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1)
NUMBERS += tuple(-number for number in NUMBERS[-6:])
REALS = (0.0, -0.0, 1.0, -1.0, 1e-40, 1e38, float("inf"), float("-inf"), float("nan"))
WORDS = ("", "nowhere", "Relu", "If", "axis", "\n\x1b[31m", "ünï", "a/../b", "com.microsoft")

_SMALL = (
    builders.classifier, builders.torch_like, builders.se_like, builders.vit_like,
    builders.channels_last, builders.paddle_like, builders.two_inputs, builders.vgg_like,
)  # fmt: skip


def drawn(rng: Random, files: Sequence[Path]) -> onnx.ModelProto:
    """One of the files, or of the small models where none are named."""
    if files:
        return onnx.load(files[rng.integers(len(files))], load_external_data=False)
    match rng.integers(4):
        case 0:
            small = sorted(MODELS.glob("*.onnx"))
            return drawn(rng, [path for path in small if path.stat().st_size <= LARGEST])
        case 1:
            return _SMALL[rng.integers(len(_SMALL))]()
        case _:
            cases = ()
            while not cases:
                cases = cases_of(GROUPS[rng.integers(len(GROUPS))])
            copy = onnx.ModelProto()
            copy.CopyFrom(cases[rng.integers(len(cases))].model)
            return copy


# -- as a message -----------------------------------------------------------------------------


def change_message(message: Message, rng: Random, words: Sequence[str]) -> None:
    """Change one field somewhere in a message."""
    fields = [field for field, _ in message.ListFields()]
    if not fields or rng.random() < 0.03:
        fields = list(message.DESCRIPTOR.fields)
    field = fields[rng.integers(len(fields))]
    if field.message_type and field.message_type.name == "StringStringEntryProto":
        return
    inside = getattr(message, field.name)
    if field.is_repeated:
        _change_list(inside, field, rng, words)
    elif field.message_type is None:
        setattr(message, field.name, _other(field, inside, rng, words))
    elif message.HasField(field.name) and rng.random() < 0.1:
        message.ClearField(field.name)
    else:
        inside.SetInParent()
        change_message(inside, rng, words)


def _change_list(items: Any, field: FieldDescriptor, rng: Random, words: Sequence[str]) -> None:
    if not len(items):
        if field.message_type:
            change_message(items.add(), rng, words)
        else:
            items.append(_other(field, field.default_value or 0, rng, words))
        return
    i, j = rng.integers(len(items), size=2).tolist()
    act = rng.random()
    if act < 0.08:
        del items[i]
    elif act < 0.16:
        items.append(items[i])
    elif act < 0.24:
        kept = list(items)
        kept[i], kept[j] = kept[j], kept[i]
        copies = [type(item).FromString(item.SerializeToString()) for item in kept] if (
            field.message_type) else kept  # fmt: skip
        del items[:]
        items.extend(copies)
    elif field.message_type:
        change_message(items[i], rng, words)
    else:
        items[i] = _other(field, items[i], rng, words)


def _other(field: FieldDescriptor, value: Any, rng: Random, words: Sequence[str]) -> Any:
    """Another value for a field, one that its type can hold."""
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return bytes(change_bytes(bytearray(value or b"0"), rng, None))
        case FieldDescriptor.CPPTYPE_STRING:
            return words[rng.integers(len(words))]
        case FieldDescriptor.CPPTYPE_ENUM:
            numbers = [each.number for each in field.enum_type.values]
            return numbers[rng.integers(len(numbers))]
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return REALS[rng.integers(len(REALS))]
        case FieldDescriptor.CPPTYPE_INT32:
            return int(rng.integers(27)) if rng.random() < 0.8 else -1
        case FieldDescriptor.CPPTYPE_UINT64:
            return abs(NUMBERS[rng.integers(len(NUMBERS))])
    near = [value - 1, value + 1, 2 * value, -value]
    numbers = [*NUMBERS, *(number for number in near if abs(number) < 2**63)]
    return numbers[rng.integers(len(numbers))]


def words_of(model: onnx.ModelProto) -> list[str]:
    """Names in a model, and some that are in none."""
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    ops = [node.op_type for node in model.graph.node]
    attributes = [a.name for node in model.graph.node for a in node.attribute]
    return [*WORDS, *names[:100], *ops[:20], *attributes[:20]]


# -- as bytes ---------------------------------------------------------------------------------


def change_bytes(data: bytearray, rng: Random, places: np.ndarray | None) -> bytearray:
    """Change, lose or add some bytes at one of the places."""
    at = int(rng.integers(len(data)) if places is None else rng.choice(places))
    at = min(at, max(len(data) - 1, 0))
    length = int(rng.integers(1, 40))
    match rng.integers(6) if data else 0:
        case 0:
            data[at:at] = rng.bytes(length)
        case 1:
            data[at] ^= 1 << int(rng.integers(8))
        case 2:
            data[at] = int(rng.choice([0, 1, 127, 128, 255]))
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = data[at : at + length]
        case _:
            other = int(rng.integers(len(data)))
            data[at : at + length] = data[other : other + length]
    return data


def structure(model: onnx.ModelProto, data: bytes) -> np.ndarray:
    """Positions of everything but stored values."""
    inside = np.ones(len(data), bool)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 32:
            start = data.find(tensor.raw_data)
            inside[start + 8 : start + len(tensor.raw_data)] = False
    return np.flatnonzero(inside)


def broken(seed: int, files: Sequence[Path]) -> bytes:
    """The bytes of a model after a few changes, mostly one."""
    rng = np.random.default_rng(seed)
    model = drawn(rng, files)
    changes, words = int(rng.geometric(0.6)), words_of(model)
    if rng.random() < 0.7:
        for _ in range(changes):
            change_message(model if rng.random() < 0.1 else model.graph, rng, words)
        return model.SerializeToString()
    data = bytearray(model.SerializeToString())
    places = structure(model, bytes(data))
    for _ in range(changes):
        change_bytes(data, rng, places)
    if rng.random() < 0.1:
        del data[rng.integers(len(data)) :]
    if rng.random() < 0.1:
        data += drawn(rng, files).SerializeToString()
    return bytes(data)


# -- the count --------------------------------------------------------------------------------


def fuzz(seeds: Iterable[int], files: Sequence[Path], say: Callable[[str], None]) -> Counter[str]:
    """How many models end in which way; of those so far where it is interrupted."""
    counts: Counter[str] = Counter()
    apart = Apart()
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        path = Path(folder) / "broken.onnx"
        for seed in seeds:
            path.write_bytes(broken(seed, files))
            outcomes = apart.ask(path, SECONDS)
            if "process" in outcomes:  # a busy machine stalls; what is wrong is so again
                outcomes = apart.ask(path, 2 * SECONDS)
            wrong = bad(outcomes)
            accepted = any(said == ANSWERED for said in outcomes.values())
            crashed = "onnxruntime" in wrong.get("process", "")
            kinds = {RUNTIME: crashed, "bad": wrong, "accepted": accepted, "refused": True}
            kind = next(kind for kind, holds in kinds.items() if holds)
            counts[kind] += 1
            for door, said in list(wrong.items())[:1]:
                say(f"seed {seed}, {kind}, {door}:\n{said}")
    apart.close()
    return counts


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=1000, show_default=True, help="How many models to break.")
@click.option("--seed", default=0, show_default=True, help="Of the first; each has its own.")
def main(files: tuple[Path, ...], count: int, seed: int) -> None:
    """Break ONNX FILES at random, and count what onnxcam makes of them."""
    warnings.simplefilter("ignore")
    began = time.monotonic()
    counts = fuzz(range(seed, seed + count), files, click.echo)
    numbers = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    click.echo(f"{counts.total()} models in {time.monotonic() - began:.0f} s: {numbers}")
    sys.exit(1 if counts["bad"] else 0)


if __name__ == "__main__":
    main()
