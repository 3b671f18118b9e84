"""Einstein sums, differentiated by the same sums with other letters."""

from __future__ import annotations

import string
from collections.abc import Sequence

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead, unbroadcast
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.dims import Dim, broadcast_dim
from onnxcam.graph.emitter import Emitter


@vjp("Einsum", wrt=None)
def einsum(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The same product with this operand's letters and the output's swapped.

    An index that only this operand has is summed over, so that dx does not vary along it: it
    stays lazy. One that it has twice or more often is a diagonal, to which the result belongs.
    """
    terms, output = _spelt_out(node)
    x, y = node.inputs[i], node.outputs[0]
    mine = "".join(dict.fromkeys(terms[i]))
    others = [k for k in range(len(terms)) if k != i]
    known = set(output).union(*(terms[k] for k in others))
    kept = "".join(letter for letter in mine if letter in known)
    sizes = _sizes(terms, node.inputs)
    others_sizes = _sizes([terms[k] for k in others], [node.inputs[k] for k in others])
    shape = [sizes[k] if k in output else others_sizes[k] for k in kept]
    front = _unused_letters(terms)[: lead(dy, y)]
    equation = ",".join([front + output, *(terms[k] for k in others)]) + f"->{front}{kept}"
    operands = [full(e, dy, y), *(node.inputs[k] for k in others)]
    dx = e.op("Einsum", *operands, shape=[*dy.shape[: len(front)], *shape], equation=equation)
    alone = [k - len(mine) for k, letter in enumerate(mine) if letter not in known]
    rank = len(front) + len(mine)
    dx = e.unsqueeze(dx, [axis + rank for axis in alone])
    if len(mine) < len(terms[i]):
        return _on_diagonal(e, dx, x, mine, terms[i])
    stretched = gs.Variable("", shape=[sizes[letter] for letter in mine])
    return unbroadcast(e, dx, x, stretched)


def _on_diagonal(e: Emitter, dx: gs.Tensor, x: gs.Tensor, mine: str, term: str) -> gs.Tensor:
    """A cotangent with an axis a letter, put where all axes of a letter agree, 0 elsewhere."""
    rank, leading = len(term), len(dx.shape) - len(mine)
    again = [k for k, letter in enumerate(term) if letter in term[:k]]
    dx = e.unsqueeze(dx, [leading + k for k in again])
    for k in again:
        first = term.index(term[k])
        along = [e.unsqueeze(positions(e, x, a - rank), _others(a, rank)) for a in (first, k)]
        dx = e.mul(dx, e.cast(e.equal(*along), dx.dtype))
    return dx


def _others(axis: int, rank: int) -> list[int]:
    return [k for k in range(rank) if k != axis]


def _spelt_out(node: gs.Node) -> tuple[list[str], str]:
    """Letters of each operand and of the output, one an axis: ellipsis and default spelt out."""
    equation = str(node.attrs["equation"]).replace(" ", "")
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        once = [letter for letter in sorted(set(left)) if left.count(letter) == 1]
        output = ("..." if "..." in left else "") + "".join(k for k in once if k.isalpha())
    ranks = [
        len(x.shape) - len(term.replace("...", ""))
        for term, x in zip(terms, node.inputs, strict=True)
    ]
    letters = _unused_letters([left, output])[: max(0, *ranks)]
    spelt = [
        term.replace("...", letters[len(letters) - rank :])
        for term, rank in zip(terms, ranks, strict=True)
    ]
    return spelt, output.replace("...", letters)


def _unused_letters(terms: list[str]) -> str:
    return "".join(letter for letter in string.ascii_letters if letter not in "".join(terms))


def _sizes(terms: Sequence[str], operands: Sequence[gs.Tensor]) -> dict[str, Dim]:
    """Length of each index; operands of length 1 are broadcast along it."""
    sizes: dict[str, Dim] = {}
    for term, x in zip(terms, operands, strict=True):
        for letter, dim in zip(term, x.shape, strict=True):
            sizes[letter] = broadcast_dim(sizes.get(letter, 1), dim)
    return sizes
