"""Scan and Loop: run forwards once more to keep every state, then backwards over what was kept.

Both have the same backward pass, a `Scan` over the steps in reverse order. A step of it computes
the body again from the state before that step and what the step read, and passes it backwards. It
carries the cotangents of the states, and those of what the body reads from outside, which add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, all_dense, full
from onnxcam.autodiff.precision import cotangent_dtype
from onnxcam.autodiff.registry import register
from onnxcam.autodiff.rules.control_flow import full_or_zeros, leading_dims, total_seeds
from onnxcam.autodiff.walk import pull_back
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.body import close, enter
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, operands


@dataclass(frozen=True)
class _Stack:
    """A tensor with one entry a step along an axis, the last step first where `reverse`."""

    tensor: gs.Tensor
    axis: int
    reverse: bool

    def step(self, e: Emitter) -> gs.Variable:
        """Stands for the entry of one step."""
        shape = [dim for k, dim in enumerate(self.tensor.shape) if k != self.axis]
        return gs.Variable(e.name("step"), dtype=self.tensor.dtype, shape=shape)


@dataclass(frozen=True)
class _Unrolled:
    """A loop as its body and what each step of it reads.

    `formals` are the stacks of the body's inputs, in its order, and the inputs from `first_state`
    on are `states` many states. The body's results are `extra` many that count for nothing, the
    states behind the step, and what is put out, stacked along `written`'s axes. `certain` says that
    there is at least one step.
    """

    body: gs.Graph
    formals: list[_Stack]
    first_state: int
    states: int
    extra: int
    written: list[tuple[int, bool]]
    certain: bool


class _Loops:
    """What Scan and Loop have in common as derivatives."""

    kind = "control flow"
    outputs = None
    ignored = ()
    quantizing = False

    def covers(self, i: int) -> bool:
        return True


class _Scan(_Loops):
    """`Scan` (opset 9 on): operands are the states, the stacks, then what the body reads."""

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        stacks = node.attrs["num_scan_inputs"]
        states = len(node.inputs) - stacks
        read = [
            _Stack(x, axis % len(x.shape), reverse)
            for x, axis, reverse in zip(
                node.inputs[states:],
                node.attrs.get("scan_input_axes", [0] * stacks),
                _directions(node, "scan_input_directions", stacks),
                strict=True,
            )
        ]
        put_out = node.outputs[states:]
        written = [
            (axis % len(y.shape), reverse)
            for y, axis, reverse in zip(
                put_out,
                node.attrs.get("scan_output_axes", [0] * len(put_out)),
                _directions(node, "scan_output_directions", len(put_out)),
                strict=True,
            )
        ]
        kept = _states_of_scan(e, node, read) if states else []
        loop = _Unrolled(node.attrs["body"], [*kept, *read], 0, states, 0, written, True)
        return _backwards(e, node, loop, wanted, all_dense(e, dys), [*range(len(node.inputs))])


def _directions(node: gs.Node, name: str, count: int) -> list[bool]:
    return [bool(direction) for direction in node.attrs.get(name, [0] * count)]


def _states_of_scan(e: Emitter, node: gs.Node, read: list[_Stack]) -> list[_Stack]:
    """Every state before every step."""
    initial = list(node.inputs[: len(node.inputs) - len(read)])
    inner = enter(e, node.attrs["body"], [*initial, *(stack.step(e) for stack in read)])
    graph = inner.network.graph
    _require_same_shapes(node, graph.inputs[: len(initial)], graph.outputs[: len(initial)])
    before = graph.inputs[: len(initial)]
    body = close(inner, graph.inputs, [*graph.outputs[: len(initial)], *before])
    length = read[0].tensor.shape[read[0].axis]
    kept = ("num_scan_inputs", "scan_input_axes", "scan_input_directions")
    made = e.several(
        "Scan",
        node.inputs,
        [*(x.shape for x in initial), *([length, *x.shape] for x in initial)],
        [x.dtype for x in (*initial, *initial)],
        body=body,
        **{name: node.attrs[name] for name in kept if name in node.attrs},
    )
    return [_Stack(states, 0, False) for states in made[len(initial) :]]


class _Loop(_Loops):
    """`Loop` (opset 11 on): operands are the trip count, the condition, the states, and the rest.

    How often it ran is known once it has run again.
    """

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        initial = list(node.inputs[2:])
        scalars = [gs.Variable(e.name("step"), np.dtype(t), []) for t in (np.int64, bool)]
        inner = enter(e, node.attrs["body"], [*scalars, *initial])
        graph = inner.network.graph
        states = len(initial)
        _require_same_shapes(node, graph.inputs[2:], graph.outputs[1 : 1 + states])
        body = close(inner, graph.inputs, [*graph.outputs[: 1 + states], *graph.inputs])
        made = e.several(
            "Loop",
            node.inputs,
            [*(x.shape for x in initial), *([None, *x.shape] for x in graph.inputs)],
            [x.dtype for x in (*initial, *graph.inputs)],
            body=body,
        )
        formals = [_Stack(stack, 0, False) for stack in made[states:]]
        written = [(0, False)] * (len(node.outputs) - states)
        certain = _runs_for_certain(e, node)
        loop = _Unrolled(node.attrs["body"], formals, 2, states, 1, written, certain)
        places = [None, None, *range(2, 2 + states)]
        return _backwards(e, node, loop, wanted, all_dense(e, dys), places)


def _runs_for_certain(e: Emitter, node: gs.Node) -> bool:
    """Whether the trip count and the first condition are known to allow a step."""
    known = [e.network.value(x) if x.name else np.array(True) for x in node.inputs[:2]]
    return all(value is not None and bool((value > 0).all()) for value in known)


def _require_same_shapes(
    node: gs.Node, before: Sequence[gs.Tensor], after: Sequence[gs.Tensor]
) -> None:
    for x, y in zip(before, after, strict=True):
        if y.shape is None or list(x.shape) != list(y.shape):
            raise UnsupportedOperatorError(
                f"{describe(node)} changes the shape of a state from {x.shape} to {y.shape} in "
                f"its body, which has no derivative here; choose a target layer behind it"
            )


def _backwards(
    e: Emitter,
    node: gs.Node,
    loop: _Unrolled,
    wanted: Sequence[int],
    dys: Sequence[gs.Tensor | None],
    places: Sequence[int | None],
) -> list[Cotangent | None]:
    """Emit the backward Scan and sort its results by operand.

    `places` gives each of the body's inputs the node's input that it comes from.
    """
    read, states = operands(node), range(loop.first_state, loop.first_state + loop.states)
    leading = leading_dims(node.outputs, dys)
    like = next(dy for dy in dys if dy is not None)
    carried = [k for k in states if _is_real(loop.formals[k].tensor)]
    outside = [i for i in wanted if i >= len(node.inputs)]
    asked = [k for k, place in enumerate(places) if k not in states and place in wanted]
    put_out = _put_out(e, node, loop, dys, len(leading))
    ends = [(node.outputs[k - states.start], dys[k - states.start]) for k in carried]
    start = [full_or_zeros(e, dy, y, leading, like) for y, dy in ends]
    start += [full_or_zeros(e, None, read[i], leading, like) for i in outside]

    inner = enter(e, loop.body, [stack.step(e) for stack in loop.formals])
    graph = inner.network.graph
    results = graph.outputs[loop.extra :]
    before = [gs.Variable(e.name("step"), t.dtype, list(t.shape)) for t in start]
    d_put_out = {k: stack.step(e) for k, stack in put_out.items()}
    reached = [results[k - states.start] for k in carried] + [results[k] for k in put_out]
    seeds = total_seeds(inner, reached, [*before[: len(carried)], *d_put_out.values()])
    sources = [graph.inputs[k] for k in carried] + [read[i] for i in outside]
    sources += [graph.inputs[k] for k in asked]
    found = pull_back(inner, graph.nodes, seeds, [x.name for x in sources])
    dxs = [full_or_zeros(inner, found.get(x.name), x, leading, like) for x in sources]
    for k in range(len(carried), len(start)):  # what is read from outside adds up
        dxs[k] = inner.add(before[k], dxs[k])
    body = close(inner, [*before, *graph.inputs, *d_put_out.values()], dxs)
    stacks = [*loop.formals, *put_out.values()]
    d_asked = [loop.formals[k] for k in asked]

    def steps(e: Emitter) -> list[gs.Variable]:
        return e.several(
            "Scan",
            [*start, *(stack.tensor for stack in stacks)],
            [*(t.shape for t in start), *([*leading, *stack.tensor.shape] for stack in d_asked)],
            [*(t.dtype for t in start), *(cotangent_dtype(stack.tensor) for stack in d_asked)],
            body=body,
            num_scan_inputs=len(stacks),
            scan_input_axes=[stack.axis for stack in stacks],
            scan_input_directions=[int(not stack.reverse) for stack in stacks],
            scan_output_axes=[len(leading) + stack.axis for stack in d_asked],
            scan_output_directions=[int(not stack.reverse) for stack in d_asked],
        )

    made = steps(e) if loop.certain else _if_any(e, loop.formals[0], steps, start)
    order = [*(places[k] for k in carried), *outside, *(places[k] for k in asked)]
    by_operand = dict(zip(order, made, strict=True))
    return [by_operand.get(i) for i in wanted]


def _if_any(
    e: Emitter,
    stack: _Stack,
    steps: Callable[[Emitter], list[gs.Variable]],
    start: Sequence[gs.Tensor],
) -> list[gs.Variable]:
    """The steps where there is one in the stack, else what they start from.

    A runtime refuses to scan nothing.
    """
    length = e.reshape(e.dim(stack.tensor, stack.axis - len(stack.tensor.shape)), [])
    some, none = Emitter(e.network, e), Emitter(e.network, e)
    return e.several(
        "If",
        [e.greater(length, 0)],
        [t.shape for t in start],
        [t.dtype for t in start],
        then_branch=close(some, [], steps(some)),
        else_branch=close(none, [], start),
    )


def _put_out(
    e: Emitter, node: gs.Node, loop: _Unrolled, dys: Sequence[gs.Tensor | None], leading: int
) -> dict[int, _Stack]:
    """The cotangents of what the steps put out, by the position of the body's result."""
    return {
        loop.states + k: _Stack(full(e, dy, y), leading + axis, reverse)
        for k, (y, dy, (axis, reverse)) in enumerate(
            zip(node.outputs[loop.states :], dys[loop.states :], loop.written, strict=True)
        )
        if dy is not None
    }


def _is_real(tensor: gs.Tensor) -> bool:
    return isinstance(tensor.dtype, np.dtype) and tensor.dtype.kind == "f"


register(_Scan(), ["Scan"])
register(_Loop(), ["Loop"])
