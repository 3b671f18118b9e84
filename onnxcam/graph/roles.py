"""What each axis of each tensor means: batch, channel, height, width, or a row of tokens.

Convolutions and poolings fix the meaning of their axes; from there it is followed forward through
everything that keeps, permutes, merges or splits axes. Where it is lost (inside an attention, say)
the next residual sum finds it again, because the other summand still has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate

import onnx_graphsurgeon as gs

from onnxcam.graph.axes import matching_axes
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.network import Network, once
from onnxcam.graph.picture import SPATIAL, find_image_input
from onnxcam.graph.plain import plain_inputs, plain_op
from onnxcam.graph.slices import bounds_along

_CHANNELS_FIRST = {
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
    "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "LpPool",
    "DepthToSpace", "SpaceToDepth",
}  # fmt: skip
_RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}
_REDUCTIONS = {
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceProd",
}  # fmt: skip


@dataclass(frozen=True)
class Roles:
    """One letter an axis: N, C, D, H, W, T (tokens), 1 (inserted), ? (unknown).

    A spatial axis split in two keeps its letter on the outer axis; the inner one, c, is as good as
    a channel (patches are merged that way).

    `grid` is the shape of the picture that the tokens tile, row by row; `prefix` and `suffix` are
    how many tokens (class, distillation, register) stand in front of it and behind it.
    """

    letters: str
    grid: tuple[int, ...] = ()
    prefix: int = 0
    suffix: int = 0


@once
def follow_roles(network: Network) -> dict[str, Roles]:
    """The roles of all tensors for which they can be told, by name."""
    picture = find_image_input(network)
    roles = {picture.name: Roles(picture.layout)}
    for node in network.graph.nodes:
        if not node.outputs or node.outputs[0].shape is None:
            continue
        if plain_op(node) == "Split":
            roles.update(_split(node, roles))
            continue
        found = _through(network, node, roles)
        if found is not None:
            roles.update({t.name: found for t in node.outputs if t.shape is not None})
    return roles


def _through(network: Network, node: gs.Node, roles: dict[str, Roles]) -> Roles | None:
    shape = list(node.outputs[0].shape)
    op, inputs = plain_op(node), plain_inputs(node)
    if op in _CHANNELS_FIRST and not node.attrs.get("channels_last", 0):
        return Roles("NC" + SPATIAL[len(shape)]) if len(shape) in SPATIAL else None
    known = next((roles[t.name] for t in inputs if t.name in roles), None)
    if known is None:
        return None
    x = next(t for t in inputs if t.name in roles)
    if op == "Transpose":
        perm = node.attrs.get("perm", range(len(shape))[::-1])
        return replace(known, letters="".join(known.letters[axis] for axis in perm))
    if op in _RESHAPES:
        return _reshaped(known, list(x.shape), shape)
    if op in _REDUCTIONS:
        return _reduced(network, node, known, len(shape))
    if op == "Gather":
        return _gathered(node, known, len(shape))
    if op == "Slice":
        return _sliced(network, node, known, list(x.shape), shape)
    if op == "Concat":
        return _concatenated(node, inputs, known, roles)
    if op in ("MatMul", "Gemm"):
        return _projected(network, inputs, known, len(shape))
    if op in ("Pad", "Resize", "Upsample", "Expand"):
        return known if len(known.letters) == len(shape) else None
    # Element by element: of the operands that have the output's shape, the best known one.
    alike = [t for t in inputs if t.name in roles and list(t.shape or []) == shape]
    if alike:
        return max((roles[t.name] for t in alike), key=_known_letters)
    return known if len(known.letters) == len(shape) and None in shape else None


def _reshaped(known: Roles, x: Shape, y: Shape) -> Roles | None:
    letters = ["?"] * len(y)
    grid = known.grid
    for in_x, in_y in matching_axes(x, y):
        long_x = [axis for axis in in_x if x[axis] != 1] or in_x[:1]
        long_y = [axis for axis in in_y if y[axis] != 1] or in_y[:1]
        for axis in in_y:
            letters[axis] = "1" if y[axis] == 1 else "?"
        before = "".join(known.letters[axis] for axis in long_x)
        if len(long_x) == len(long_y):
            for a, b in zip(long_x, long_y, strict=True):
                letters[b] = known.letters[a]
        elif len(long_y) == 1 and before and set(before) <= set("DHW"):
            letters[long_y[0]] = "T"
            grid = tuple(int(d) for a in long_x if isinstance(d := x[a], int))
        elif before and set(before) <= set("cC") and len(long_y) == 1:
            letters[long_y[0]] = "C"
        elif len(before) == 1 and before in "DHW" and len(long_y) == 2:
            letters[long_y[0]], letters[long_y[1]] = before, "c"
        elif before == "T" and len(long_y) in (2, 3) and math.prod(grid) == x[long_x[0]]:
            for axis, letter in zip(long_y, "DHW"[-len(long_y) :], strict=True):
                letters[axis] = letter
    if "C" not in letters:
        return None
    return replace(known, letters="".join(letters), grid=grid)


def _reduced(network: Network, node: gs.Node, known: Roles, rank: int) -> Roles | None:
    if len(known.letters) == rank:
        return known
    axes = node.attrs.get("axes")
    if axes is None and len(node.inputs) > 1:
        axes = network.value(node.inputs[1])
    if axes is None:
        return None
    dropped = {int(axis) % len(known.letters) for axis in axes}
    letters = "".join(c for a, c in enumerate(known.letters) if a not in dropped)
    return replace(known, letters=letters) if len(letters) == rank else None


def _gathered(node: gs.Node, known: Roles, rank: int) -> Roles | None:
    axis = node.attrs.get("axis", 0) % len(known.letters)
    if rank == len(known.letters) - 1:
        return replace(known, letters=known.letters[:axis] + known.letters[axis + 1 :])
    if rank == len(known.letters) and known.letters[axis] == "C":
        return known
    return None


def _sliced(network: Network, node: gs.Node, known: Roles, x: Shape, y: Shape) -> Roles | None:
    if "T" not in known.letters or len(x) != len(y):
        return known
    axis = known.letters.index("T")
    size, length = x[axis], y[axis]
    if size == length:
        return known
    start = bounds_along(network, node, axis, len(x)).start
    if start is None or not isinstance(size, int) or not isinstance(length, int):
        return None
    return _part(known, size, start % size, length)


def _part(known: Roles, size: int, start: int, length: int) -> Roles:
    """Some of a row of tokens: no row any more where they lack some of the picture's own."""
    prefix, suffix = known.prefix - start, known.suffix - (size - start - length)
    if prefix < 0 or suffix < 0:
        return replace(known, letters=known.letters.replace("T", "?"))
    return replace(known, prefix=prefix, suffix=suffix)


def _split(node: gs.Node, roles: dict[str, Roles]) -> dict[str, Roles]:
    """The parts keep what their axes mean; of a row of tokens, each has its own."""
    x = node.inputs[0]
    known = roles.get(x.name)
    if known is None or len(known.letters) != len(x.shape):
        return {}
    axis = node.attrs.get("axis", 0) % len(x.shape)
    parts = [t for t in node.outputs if t.shape is not None]
    if known.letters[axis] != "T":
        return {t.name: known for t in parts}
    lengths, size = [t.shape[axis] for t in parts], x.shape[axis]
    if len(parts) != len(node.outputs) or not is_static([size, *lengths]):
        return {}
    starts = accumulate(lengths, initial=0)
    return {
        t.name: _part(known, size, start, length)
        for t, start, length in zip(parts, starts, lengths, strict=False)
    }


def _concatenated(
    node: gs.Node, inputs: list[gs.Tensor], known: Roles, roles: dict[str, Roles]
) -> Roles | None:
    axis = node.attrs["axis"] % len(known.letters)
    if known.letters[axis] != "T":
        return known
    tiled = [k for k, t in enumerate(inputs) if "T" in roles.get(t.name, Roles("")).letters]
    if len(tiled) != 1:
        return None
    sizes = [t.shape[axis] for t in inputs]
    if not all(isinstance(size, int) for k, size in enumerate(sizes) if k != tiled[0]):
        return None
    own = roles[inputs[tiled[0]].name]
    return replace(
        own,
        prefix=own.prefix + sum(sizes[: tiled[0]]),
        suffix=own.suffix + sum(sizes[tiled[0] + 1 :]),
    )


def _projected(network: Network, inputs: list[gs.Tensor], known: Roles, rank: int) -> Roles | None:
    """A linear layer mixes channels only; a product of two activations mixes anything."""
    if rank != len(known.letters) or inputs[1].name in network.varying:
        return None
    return replace(known, letters=known.letters[:-1] + "C") if known.letters[-1] == "C" else None


def _known_letters(roles: Roles) -> int:
    return sum(letter in "NCTDHW" for letter in roles.letters)
