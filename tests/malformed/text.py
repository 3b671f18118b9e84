"""Names that are no text, or none to be printed; files that are no model."""

from __future__ import annotations

from builders import classifier
from malformed.making import Make, answered, changed, inserted, node_of, refused


def spoilt(old: bytes) -> Make:
    """A classifier's bytes with letters that are no UTF-8."""

    def make() -> bytes:
        data = classifier().SerializeToString()
        assert old in data
        return data.replace(old, b"\xff\xfe" + old[2:])

    return make


def renamed(old: str, new: str) -> Make:
    """A classifier in which a tensor has another name everywhere."""

    def make() -> bytes:
        model = classifier()
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        for value in (*model.graph.input, *model.graph.output):
            value.name = new if value.name == old else value.name
        return model.SerializeToString()

    return make


def cut(length: int) -> Make:
    return lambda: classifier().SerializeToString()[:length]


refused(
    r"model\.onnx: the name b'.*\\xff\\xfe.*' in it is no UTF-8 text; rename it",
    node_name_no_text=spoilt(b"Relu:relu1"),
    tensor_name_no_text=spoilt(b"features"),
    input_name_no_text=spoilt(b"image"),
    output_name_no_text=spoilt(b"logits"),
    operator_no_text=spoilt(b"GlobalAveragePool"),
)
refused(
    r"the model is damaged \(UnicodeDecodeError: .*\); export or copy it again",
    attribute_no_text=spoilt(b"strides"),
    graph_name_no_text=spoilt(b"tiny"),
)
refused(
    r"No Op registered for \\x1b\[31m Relu",
    operator_of_control_characters=inserted("\x1b[31m\n\tRelu"),
)
refused(
    "metadata 'onnxcam.preprocess' is no JSON",
    metadata_no_json=changed(
        lambda model: model.metadata_props.add(key="onnxcam.preprocess", value="{not json")
    ),
)
answered(
    producer_no_text=spoilt(b"tests"),
    node_name_of_control_characters=changed(
        lambda model: setattr(node_of(model, "Relu"), "name", "\x1b[31m\r\n\0red")
    ),
    node_name_of_a_megabyte=changed(
        lambda model: setattr(node_of(model, "Relu"), "name", "n" * 2**20)
    ),
    node_without_name=changed(lambda model: model.graph.node[1].ClearField("name")),
    name_in_another_script=renamed("features", "特徴/映像:0 ünï"),
    name_of_spaces=renamed("features", " \t\n"),
    name_of_a_path=renamed("features", "../../etc/passwd"),
    input_named_oddly=renamed("image", "-x\n{0}%s"),
    name_of_a_megabyte=renamed("relu1", "n" * 2**20),
    a_whole_file=cut(10**9),
)

refused(
    r"model\.onnx: not a complete ONNX file \(other format, or cut short\); export or copy it",
    cut_in_half=cut(1500),
    cut_at_the_end=lambda: classifier().SerializeToString()[:-1],
    random_bytes=lambda: bytes(range(256)) * 8,
    a_text_file=lambda: b"%PDF-1.7 or a README, but no protobuf\n" * 9,
    a_picture=lambda: b"\x89PNG\r\n\x1a\n" + bytes(99),
    a_zip_archive=lambda: b"PK\x03\x04" + bytes(99),
)
refused(r"model\.onnx: not an ONNX model \(it holds no graph\)", an_empty_file=lambda: b"")
