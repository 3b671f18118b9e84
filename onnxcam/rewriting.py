"""A model rewritten so that it explains itself, wherever ONNX runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx

from onnxcam.assembly import Assembly
from onnxcam.cards import Card, LabelSpec, PreprocessSpec, find_card
from onnxcam.compose import compose
from onnxcam.errors import MethodError, ModelError, OnnxCamError, TargetError, nearest
from onnxcam.graph.external import completed
from onnxcam.graph.layers import LayerSpec
from onnxcam.graph.load import ModelSource
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.rewritten import MADE_HERE
from onnxcam.graph.stated_grid import placed
from onnxcam.inquiry import Inquiry
from onnxcam.methods import Baked, Method, find_method
from onnxcam.methods.smoothing import AUGMENT, EIGEN
from onnxcam.outputs import BOX, INDEX
from onnxcam.overlay import Look
from onnxcam.presenting import presented
from onnxcam.profiles import find_profile
from onnxcam.runtime import Arrays
from onnxcam.sources import SourceSpec
from onnxcam.targets import CLASS_INPUT, Case, Classes, Target, Wanted
from onnxcam.targets.spec import Reader
from onnxcam.targets.usual import usual_target
from onnxcam.understanding import with_fitting_labels
from onnxcam.version import __version__

CHOICES = ("run-time", "required", "fixed")
"""What is explained is an input that may be left out, one that may not (ONNX Runtime Web and others
cannot override a default), or settled in the file."""


def rewrite(
    model: ModelSource,
    method: str | Method = "gradcam",
    layer: LayerSpec = None,
    top: int = 1,
    profile: str = "cpu",
    score: str = "logit",
    target: int | str | Wanted | None = None,
    preprocess: PreprocessSpec = None,
    labels: LabelSpec = None,
    grid: Sequence[int] | None = None,
    fuse: str = "mean",
    smooth: str | None = None,
    form: str = "raw",
    resolution: str = "layer",
    choice: str | None = None,
    look: Look | None = None,
    **parameters: Any,
) -> onnx.ModelProto:
    """The model with its explanation inside, still an ordinary ONNX model.

    Original inputs and outputs keep names, order, types, shapes and values. Added are the outputs
    `cam`, float32 (N, K, h, w), the method's raw map at the layer's resolution, and `cam_target`,
    int64 (N, K), the classes explained; and an input `cam_class`, int64 (N, K) or (1, K), that
    may be left out: then the K = `top` best classes are explained (an entry of -1 does the same
    for one of them), or what `target` says. Other targets have inputs of their own, with what was
    given as their default. `metadata_props` records version, method, layer, score, top, profile,
    a target that was given, and whether the gradient is exact or, through a quantised model's
    rounding, straight-through.

    `layer` is a tensor, node or framework scope name, an index into `find_layers`, a list of
    those, or None for the automatic choice. `target`, `preprocess`, `labels`, `grid` and `fuse`
    are as for `Explainer`, but the target cannot depend on the picture; `smooth` may be "eigen";
    `parameters` are the method's own. Of several layers `cam` has the picture's size.

    `profile` says which runtimes the file is for: "cpu", "cuda" or "portable" (`onnxcam.profiles`).
    `form` is what `cam` holds: the "raw" map, a "heatmap" in [0, 1], "uint8" in 0 to 255; or
    "overlay", the raw map and an output `cam_overlay`, uint8 RGB (N, K, H, W, 3), of the heat on
    the model's input in a `look` of the style blend or sum. `resolution` is that of the "layer",
    or of the "input". With the `choice` "run-time" inputs may be left out; with "required", the
    default of the profile "portable" where the class is the only one, they may not; with "fixed",
    its default elsewhere, the class is settled in the file and there are none. A model that was
    rewritten before is taken as it was before that. Of a model over 2 GB the weights stay in their
    files, and the result refers to them (`save_model` writes it).
    Raises subclasses of `OnnxCamError`.
    """
    made_for = find_profile(profile)
    if choice is not None and choice not in CHOICES:
        raise OnnxCamError(
            f"no choice '{choice}'{nearest(choice, CHOICES)}; there is run-time, fixed"
        )
    if target is not None and top != 1:
        raise TargetError("give either a target or top, not both")
    chosen = find_method(method, **parameters)
    if not isinstance(chosen, Baked):
        raise MethodError(
            f"method '{chosen.name}' runs the model many times, so it cannot live in the file; "
            f"onnxcam methods lists those that bake"
        )
    if smooth == AUGMENT:
        raise MethodError(
            f"smoothing with '{AUGMENT}' runs the model six times, so it cannot live in the file; "
            f"smooth with '{EIGEN}', or leave it out"
        )
    network = Network(model)
    card = _card(model, network, preprocess, labels)
    case = _case(network, card, chosen)
    if target is None:
        wanted = usual_target(network, top, score)
    else:
        wanted = Reader(network, case.index_of, score).wanted(target)
    settled = wanted.settled(case)
    made = compose(network, chosen, placed(layer, grid), settled, fuse, smooth)
    boxes = {} if made.explained.box is None else {BOX: made.explained.box}
    how = look or Look()
    maps = presented(made.scene, made.raw, form, resolution, card, how)
    outputs = {**maps, INDEX: made.explained.index, **boxes}
    made_for.apply(made.emitter, outputs.values())
    if choice is None:
        alone = len(made.explained.choices) == 1
        choice = made_for.choice if alone or made_for.choice != "required" else "fixed"
    finish = {
        "run-time": made.model,
        "required": made.asking_model,
        "fixed": made.settled_model,
    }
    rewritten = finish[choice](
        outputs,
        {
            "onnxcam.version": __version__,
            "onnxcam.method": chosen.name,
            **({"onnxcam.parameters": json.dumps(parameters)} if parameters else {}),
            "onnxcam.layer": ", ".join(one.name for one in made.layers),
            **({"onnxcam.fuse": fuse} if len(made.layers) > 1 else {}),
            **({"onnxcam.smooth": smooth} if smooth else {}),
            "onnxcam.score": settled.score if isinstance(settled, Classes) else score,
            "onnxcam.top": str(made.explained.count),
            **({} if target is None else {"onnxcam.target": _name(settled, made.explained.count)}),
            "onnxcam.profile": profile,
            "onnxcam.form": form,
            "onnxcam.resolution": resolution,
            "onnxcam.choice": choice,
            "onnxcam.gradient": "straight-through" if made.straight_through else "exact",
            MADE_HERE: made.emitter.prefix,
            **_of_the_model(network, card),
        },
    )
    return completed(rewritten)


def _card(
    model: ModelSource, network: Network, preprocess: PreprocessSpec, labels: LabelSpec
) -> Card | None:
    """What travels with a model; None of one that takes no pictures, volumes or signals."""
    try:
        image = find_image_input(network)
    except ModelError:
        return None
    source = model if isinstance(model, onnx.ModelProto) else os.fspath(model)
    return with_fitting_labels(find_card(source, network, image, preprocess, labels), network)


def _of_the_model(network: Network, card: Card | None) -> dict[str, str]:
    """Preprocessing and labels that were found elsewhere: the file shall need no other."""
    inside = {entry.key for entry in network.proto.metadata_props}
    known: dict[str, str] = {}
    if card is not None and "preprocess" not in card.guessed:
        known["onnxcam.preprocess"] = json.dumps(asdict(card.preprocess))
    if card is not None and card.labels is not None and "labels" not in card.guessed:
        known["onnxcam.labels"] = json.dumps(card.labels, ensure_ascii=False)
    return {key: value for key, value in known.items() if key not in inside}


def _case(network: Network, card: Card | None, method: Method) -> Case:
    """What a target may ask where no picture is explained yet."""
    if card is not None:
        return Inquiry(Assembly(network, find_image_input(network), card, method, {}, None)).case()

    def answer(image: SourceSpec | None = None) -> Arrays:
        raise TargetError("this target depends on the picture, and the model takes none")

    return Case(network, answer)


def _name(target: Target, count: int) -> str:
    """What the scalars of a target are called."""
    classes = target.feeds().get(CLASS_INPUT, np.zeros((1, count), np.int64))
    return ", ".join(target.key(k, int(index)) for k, index in enumerate(classes[0]))
