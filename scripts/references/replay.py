"""onnxcam's answers to what the libraries were asked."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs

import onnxcam
from onnxcam.compose import Addition
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.layers import LayerSpec
from onnxcam.graph.load import with_picture_size
from onnxcam.graph.named_layers import resolve_layers
from onnxcam.graph.network import Network
from onnxcam.methods import Baked, find_method, methods
from onnxcam.methods.aggregate import over_layers
from onnxcam.methods.scene import Scene
from onnxcam.methods.search.variants import by_channel
from onnxcam.methods.smoothing import AUGMENT
from onnxcam.runtime import Runner
from onnxcam.targets import Classes

from .method_maps import MethodMaps, Recorded
from .rebuild import Reference, build


def known(maps: MethodMaps) -> list[Recorded]:
    """What is recorded of methods that onnxcam has."""
    names = {method.name for method in methods()}
    return [one for one in maps.recorded if one.method in names]


def is_baked(one: Recorded) -> bool:
    """Whether a method takes one run of a rewritten model, and not many of the model."""
    return one.smooth != AUGMENT and isinstance(find_method(one.method, **one.parameters), Baked)


def model_for(reference: Reference, maps: MethodMaps) -> onnx.ModelProto:
    """The network for pictures of the size that was recorded."""
    model = build(reference)
    picture, (height, width) = model.graph.input[0], maps.input.shape[2:]
    stated = [dim.dim_value for dim in picture.type.tensor_type.shape.dim]
    if stated[maps.input.axes.index("H")] == height:
        return model
    del model.graph.value_info[:]  # the shapes behind pictures of the other size
    return with_picture_size(model, picture.name, maps.input.axes, (height, width))


def baked_maps(
    reference: Reference, model: onnx.ModelProto, maps: MethodMaps, wanted: Sequence[Recorded]
) -> dict[str, np.ndarray]:
    """The maps (n, h, w) of baked methods by the keys of `wanted`, from two sessions.

    CAM is not put beside the others: ONNX Runtime 1.31 finds the products they share, fuses one
    with its constant factor into a MatMul, and forgets the other reader.
    """
    alone = [one for one in wanted if one.method == "cam"]
    parts = [alone, [one for one in wanted if one not in alone]]
    return {k: v for part in parts for k, v in _session(reference, model, maps, part).items()}


def _session(
    reference: Reference, model: onnx.ModelProto, maps: MethodMaps, wanted: Sequence[Recorded]
) -> dict[str, np.ndarray]:
    if not wanted:
        return {}
    network = Network(model)
    e = Emitter(network)
    explained = Classes(tuple((one,) for one in maps.classes)).emit(e)
    gradients: dict[str, gs.Tensor] = {}
    outputs = {}
    for one in wanted:
        method = find_method(one.method, **one.parameters)
        assert isinstance(method, Baked)
        layers = method.layers(network, layer_spec(reference, one))
        scene = Scene(e, explained, layers, _gradients=gradients)
        outputs[one.key] = over_layers(method, scene, smooth=one.smooth)
    made = Addition(e, explained).serialized(outputs)
    answer = Runner(made, None, network.folder).run({network.inputs[0].name: maps.input.values()})
    return {one.key: found(one, answer[one.key]) for one in wanted}


def searched_map(
    reference: Reference, model: onnx.ModelProto, maps: MethodMaps, one: Recorded
) -> np.ndarray:
    """The maps (n, h, w) of a method, or a smoothing, that runs the model many times."""
    explainer = onnxcam.Explainer(
        model, one.method, layer=layer_spec(reference, one), smooth=one.smooth, **one.parameters
    )
    x = maps.input.values()[: one.pictures]
    return found(one, explainer.run(x, target=maps.classes[: one.pictures])["raw"])


def activations(
    reference: Reference, model: onnx.ModelProto, maps: MethodMaps, one: Recorded
) -> np.ndarray:
    """What the first of a method's layers is for its pictures: (n, C, h, w)."""
    network = Network(model)
    features = resolve_layers(network, layer_spec(reference, one))[0].features
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(features.tensor.name))
    feeds = {network.inputs[0].name: maps.input.values()[: one.pictures]}
    return by_channel(features, Runner(watched).run(feeds)[features.tensor.name])


def layer_spec(reference: Reference, one: Recorded) -> LayerSpec:
    """The tensors of the exported graph; of one layer its name, of none the automatic choice."""
    names = [reference.layers[path] for path in one.layers]
    return names if len(names) > 1 else (names[0] if names else None)


def found(one: Recorded, raw: np.ndarray) -> np.ndarray:
    """Raw maps (N, 1, h, w) as the recording has them."""
    first = raw[: one.pictures, 0]
    return np.stack([in_unit_range(each) for each in first]) if one.form == "scaled" else first


def in_unit_range(values: np.ndarray) -> np.ndarray:
    """Minimum 0 and maximum 1, as pytorch-grad-cam scales a map in the end."""
    positive = np.maximum(values, 0)
    raised = positive - positive.min()
    return raised / (1e-7 + raised.max())


def differences(
    reference: Reference, model: onnx.ModelProto, maps: MethodMaps
) -> Iterator[tuple[Recorded, float]]:
    """Every recorded map, and how far onnxcam's is from it."""
    wanted = known(maps)
    baked = baked_maps(reference, model, maps, [one for one in wanted if is_baked(one)])
    for one in wanted:
        raw = baked[one.key] if one.key in baked else searched_map(reference, model, maps, one)
        yield one, maps.away(one, raw)
