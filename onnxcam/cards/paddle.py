"""What Paddle's programs write beside an exported model: PaddleClas, PaddleX and PaddleOCR
`inference.yml`, PaddleDetection `infer_cfg.yml`, PaddleSeg `deploy.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from onnxcam.cards import paddle_classification, paddle_detection, paddle_segmentation
from onnxcam.cards.document import Document, Settings
from onnxcam.cards.labels import listed_names
from onnxcam.cards.paddle_steps import Operators, Step, followed

FILES = ("inference.yml", "infer_cfg.yml", "deploy.yaml", "inference.yaml", "deploy.yml")


def settings(document: Document) -> Settings | None:
    """From the list of operators that prepare a picture, in the words of the program."""
    found = _steps(document)
    if found is None:
        return None
    key, listed, operators = found
    return followed(list(_as_steps(document, key, listed)), operators)


def names(document: Document) -> list[str] | None:
    """`label_list` at the top, or of what reads the answer; or the file that is named there."""
    if "label_list" in document:
        return listed_names(document.get("label_list"), document.name)
    for key in ("PostProcess", "Infer"):
        after = document.content.get(key)
        inner = after.get("PostProcess", after) if _is_object(after) else None
        if _is_object(inner):
            for one in (inner, *(value for value in inner.values() if _is_object(value))):
                found = _listed(Document(f"{document.name}, {key}", one, document.folder))
                if found:
                    return found
    return None


def _steps(document: Document) -> tuple[str, Any, Operators] | None:
    """The key of the operators, their list, and what they mean in that program."""
    classification = paddle_classification.OPERATORS
    for outer, inner in (("PreProcess", "transform_ops"), ("Infer", "transforms")):
        if isinstance(document.get(outer), dict) and inner in document.part(outer):
            return f"{outer}, {inner}", document.part(outer).get(inner), classification
    if "Preprocess" in document:
        return "Preprocess", document.get("Preprocess"), paddle_detection.OPERATORS
    if isinstance(document.get("Deploy"), dict) and "transforms" in document.part("Deploy"):
        listed = document.part("Deploy").get("transforms")
        return "Deploy, transforms", listed, paddle_segmentation.OPERATORS
    return None


def _as_steps(document: Document, key: str, listed: Any) -> Iterator[Step]:
    """Operators are objects with a `type`, or objects of their name alone to their settings."""
    if not isinstance(listed, list) or not all(_is_object(entry) and entry for entry in listed):
        raise document.wrong(key, "must be a list of operators")
    for entry in listed:
        if "type" in entry:
            name, content = str(entry["type"]), entry
        else:
            name, content = next(iter(entry.items()))
        own = content if _is_object(content) else {}
        yield Step(str(name), Document(f"{document.name}, {key}, {name}", own, document.folder))


def _listed(after: Document) -> list[str] | None:
    if isinstance(after.get("label_list"), list | dict):
        return listed_names(after.get("label_list"), after.name)
    two = [after.get("label_0"), after.get("label_1")]
    if all(isinstance(name, str) for name in two):
        return [str(name) for name in two]
    named = after.get("class_id_map_file")
    return _from_file(after.folder, named) if isinstance(named, str) else None


def _from_file(folder: Path | None, named: str) -> list[str] | None:
    """Lines "number name"; None where the file did not come along with the model."""
    places = [folder / named, folder / Path(named).name] if folder else []
    for place in places:
        if place.is_file():
            lines = place.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
            if all(len(pair) == 2 and pair[0].isdecimal() for pair in pairs):
                return listed_names(dict(pairs), str(place))
    return None


def _is_object(value: Any) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)
