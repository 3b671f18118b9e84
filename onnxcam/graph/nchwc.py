"""Taking back ONNX Runtime's blocked layout, in which a file is saved at its highest level.

There (domain `com.microsoft.nchwc`) a tensor declared (N, C, H, W) lies in memory as
(N, C / b, H, W, b), C padded to a multiple of the block b: 16 with AVX-512 and on Arm, else 8.
Read as what it is declared to be it is scrambled, so no heatmap could be made of it, and weights
are laid out for it too. `unblocked` puts every operator back to its standard self on ordinary
tensors; a runtime blocks it again when it loads the result. Padding channels stay: nothing reads
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxcam.errors import ModelError
from onnxcam.graph.external import values
from onnxcam.graph.protos import MICROSOFT, opset_of
from onnxcam.graph.shapes import Facts
from onnxcam.runtime import Runner

BLOCKED = "com.microsoft.nchwc"
_BLOCKS = (8, 16)
_ACTIVATED = ("activation", "activation_params")


def unblocked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy in ordinary layout of one in blocked layout.

    The block size is read off the channel counts. Where both sizes fit, it is the runtime's:
    that reads any such file by its own. Raises `ModelError` where none fits.
    """
    if not any(node.domain == BLOCKED for node in model.graph.node):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    fitting = [b for b in _BLOCKS if _fits(model.graph, b)]
    if not fitting:
        raise ModelError(
            "the model is in ONNX Runtime's blocked layout (com.microsoft.nchwc), its weights not "
            "in blocks of 8 or 16; save it with a lower optimisation level"
        )
    _Unblocking(copy, fitting[0] if len(fitting) == 1 else runtime_block()).run()
    return copy


def _fits(graph: onnx.GraphProto, block: int) -> bool:
    """Whether a file can have been written for a block size."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.domain == BLOCKED and node.op_type == "Conv" and node.input[1] not in stored:
            return False
    made = {node.output[0]: node for node in graph.node if node.domain == BLOCKED}
    for node in graph.node:
        if node.domain == BLOCKED and node.op_type == "Conv":
            outputs, per_group = stored[node.input[1]].dims[:2]
            blocked_inputs = per_group >= block
            if outputs % block or (blocked_inputs and per_group % block):
                return False
        source = made.get(node.input[0]) if node.input else None
        if node.op_type == "ReorderOutput" and source is not None and source.op_type == "Conv":
            channels = _ints(node, "channels", [0])[0]
            if stored[source.input[1]].dims[0] != -(-channels // block) * block:
                return False
        if node.op_type == "Reshape" and source is not None and node.input[1] in stored:
            dims = numpy_helper.to_array(stored[node.input[1]])
            if dims.size == 5 and dims[4] != block:
                return False
    return True


def runtime_block() -> int:
    """The block size of the ONNX Runtime that is installed, on this machine."""
    x = np.zeros((1, max(_BLOCKS), 1, 2), np.float32)
    x[0, 0, 0, 1] = 1  # the next position: as many values on as there are channels in a block
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    node = helper.make_node("ReorderInput", ["x"], ["y"], domain=BLOCKED)
    graph = helper.make_graph([node], "block", [value], [out])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(BLOCKED, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (y,) = Runner(model, ["CPUExecutionProvider"]).run({"x": x}).values()
    return int(y.argmax())


class _Unblocking:
    def __init__(self, model: onnx.ModelProto, block: int) -> None:
        self.model, self.block = model, block
        self.opset = opset_of(model)
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.restored: dict[tuple[str, bool], str] = {}
        self.blocked: set[str] = set()

    def run(self) -> None:
        self.replace_nodes(self.standard)
        self.pad_inputs()
        domains = [entry for entry in self.model.opset_import if entry.domain != BLOCKED]
        if not any(entry.domain == MICROSOFT for entry in domains):
            domains.append(helper.make_opsetid(MICROSOFT, 1))
        del self.model.opset_import[:]
        self.model.opset_import.extend(domains)
        self.drop_unread()

    def replace_nodes(self, made: Callable[[onnx.NodeProto], Iterator[onnx.NodeProto]]) -> None:
        nodes = [each for node in self.model.graph.node for each in made(node)]
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)

    def drop_unread(self) -> None:
        """Leave out the weights that now are there in ordinary order, under another name."""
        graph = self.model.graph
        read = {name for node in graph.node for name in node.input}
        replaced = {name for name, _ in self.restored} - read
        kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
        del graph.initializer[:]
        graph.initializer.extend(kept)

    def standard(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """What an operator is on ordinary tensors."""
        if node.domain != BLOCKED:
            yield from self.between(node)
            return
        if node.op_type != "ReorderOutput":
            self.blocked.update(node.output)
        if node.op_type == "Conv":
            yield from self.convolution(node)
        elif node.op_type == "Upsample":
            yield self.resize(node)
        elif node.op_type == "ReorderInput":
            yield from self.reorder_input(node)
        elif node.op_type == "ReorderOutput":
            yield from self.reorder_output(node)
        else:  # pools keep their attributes
            yield _renamed(node, "")

    def between(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """A standard operator; among blocked tensors it works element by element."""
        if node.input and node.input[0] in self.blocked and node.op_type == "Reshape":
            # Between (N, C, H, W) and (N, C / b, H, W, b), so that a factor a channel broadcasts.
            node = helper.make_node("Identity", node.input[:1], node.output, node.name)
        if any(name in self.blocked for name in node.input):
            self.blocked.update(node.output)
        yield node

    def convolution(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        fused = len(node.input) > 3 or any(a.name in _ACTIVATED for a in node.attribute)
        made = _renamed(node, MICROSOFT if fused else "", "FusedConv" if fused else "Conv")
        weight = self.stored[node.input[1]]
        per_group, group = weight.dims[1], _ints(node, "group", [1])[0]
        by_input = per_group % self.block == 0 and not (group > 1 and per_group == 1)
        made.input[1] = self.weight(weight, by_input)
        if _text(node, "activation", "") != "HardSwish" or len(node.input) > 3 or self.opset < 14:
            yield made
            return
        # Its derivative takes what goes into it, which a fused operator keeps to itself.
        plain = _renamed(made, "", "Conv")
        kept = [a for a in plain.attribute if a.name not in _ACTIVATED]
        del plain.attribute[:]
        plain.attribute.extend(kept)
        plain.output[0] = f"{node.output[0]}/before"
        yield plain
        yield helper.make_node("HardSwish", plain.output, node.output)

    def weight(self, tensor: onnx.TensorProto, by_input: bool) -> str:
        """Name of the weights in their ordinary order.

        They were (O/b, I/b, *kernel, b of I, b of O), or (O/b, I, *kernel, b) where the
        convolution reads pictures or channels one by one.
        """
        key = (tensor.name, by_input)
        if key not in self.restored:
            b, (o, i, *kernel) = self.block, tensor.dims
            value = values(tensor)
            if by_input:
                value = value.reshape(o // b, i // b, *kernel, b, b)
                value = np.moveaxis(value, (-1, -2), (1, 3))
            else:
                value = np.moveaxis(value.reshape(o // b, i, *kernel, b), -1, 1)
            name = f"{tensor.name}/ordinary" + ("" if by_input else "_rows")
            plain = numpy_helper.from_array(value.reshape(o, i, *kernel), name)
            self.model.graph.initializer.append(plain)
            self.restored[key] = name
        return self.restored[key]

    def resize(self, node: onnx.NodeProto) -> onnx.NodeProto:
        scales = np.asarray(_ints(node, "scales", []), np.float32)
        mode = _text(node, "mode", "nearest")
        coordinates = _text(node, "coordinate_transformation_mode", "asymmetric")
        attrs = {"mode": mode, "coordinate_transformation_mode": coordinates}
        if mode == "nearest":  # by whole factors: each value as often as its factor
            attrs |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        inputs = [node.input[0], f"{node.output[0]}/roi", f"{node.output[0]}/scales"]
        stored = (
            numpy_helper.from_array(v, n)
            for n, v in zip(inputs[1:], (scales[:0], scales), strict=True)
        )
        self.model.graph.initializer.extend(stored)
        return helper.make_node("Resize", inputs, node.output, node.name, **attrs)

    def reorder_input(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """To the blocked layout: channels to the front if they are not, padded to the block."""
        source, target = node.input[0], node.output[0]
        if _ints(node, "channels_last", [0])[0]:
            yield helper.make_node("Transpose", [source], [f"{target}/first"], perm=[0, 3, 1, 2])
            source = f"{target}/first"
        yield helper.make_node(
            "ReorderInput", [source], [target], node.name, domain=BLOCKED, block=self.block
        )

    def pad_inputs(self) -> None:
        """Say how many channels `ReorderInput` adds, which takes the shapes of what it reads."""
        shapes = Facts(self.model).tensors

        def padded(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
            if node.domain != BLOCKED:
                yield node
                return
            shape = shapes[node.input[0]].shape
            if shape is None or not isinstance(shape[1], int):
                raise ModelError(
                    f"the model is in ONNX Runtime's blocked layout, and how many channels "
                    f"'{node.input[0]}' has cannot be told; save it with a lower optimisation level"
                )
            added = -shape[1] % self.block
            if not added:
                yield helper.make_node("Identity", node.input, node.output, node.name)
                return
            pads = self.constant(f"{node.output[0]}/pads", [0, 0, 0, 0, 0, added, 0, 0])
            yield helper.make_node("Pad", [node.input[0], pads], node.output, node.name)

        self.replace_nodes(padded)

    def reorder_output(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Back: the padding channels cut off, channels to the end if that is asked for."""
        source, target = node.input[0], node.output[0]
        last = _ints(node, "channels_last", [0])[0]
        channels = _ints(node, "channels", [0])[0]
        cut = f"{target}/first" if last else target
        if channels % self.block:
            name = f"channels_{channels}"
            bounds = [self.constant(f"{name}/{k}", [v]) for k, v in enumerate((0, channels, 1))]
            yield helper.make_node("Slice", [source, *bounds], [cut], "" if last else node.name)
        elif last:
            cut = source
        else:
            yield helper.make_node("Identity", [source], [cut], node.name)
        if last:
            yield helper.make_node("Transpose", [cut], [target], node.name, perm=[0, 2, 3, 1])

    def constant(self, name: str, value: list[int]) -> str:
        """A stored vector of integers, each once."""
        name = f"onnxcam.nchwc/{name}"
        if name not in self.stored:
            self.stored[name] = numpy_helper.from_array(np.asarray(value, np.int64), name)
            self.model.graph.initializer.append(self.stored[name])
        return name


def _renamed(node: onnx.NodeProto, domain: str, op: str = "") -> onnx.NodeProto:
    made = onnx.NodeProto()
    made.CopyFrom(node)
    made.domain, made.op_type = domain, op or node.op_type
    return made


def _ints(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    for attribute in node.attribute:
        if attribute.name == name:
            return list(attribute.ints) or [attribute.i]
    return default


def _text(node: onnx.NodeProto, name: str, default: str) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == name), default)
