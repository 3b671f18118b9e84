"""Options of `onnxcam explain` that say how heat is drawn: styles, recipes, views."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from complaints import complaint
from graph.test_picture import spatial_net

from onnxcam.images import read_image
from onnxcam.overlay.style import SHEETS, STYLES
from onnxcam.volumes import read_volume, write_volume

Cli = Callable[..., Result]
Save = Callable[..., Path]


def run(cli: Cli, model: Path, source: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    result = cli("explain", model, source, "-o", folder, "--json", *options)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("style", STYLES)
def test_every_style(
    style: str, cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    (entry,) = run(cli, model_file, picture_file, tmp_path / "out", "--style", style)
    drawn = read_image(entry["overlay"])
    if style not in SHEETS:
        assert drawn.shape == read_image(picture_file).shape


def test_weights_reach_the_picture(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    options = ["--style", "sum", "--alpha", "0", "--beta", "1"]
    (entry,) = run(cli, model_file, picture_file, tmp_path / "out", *options)
    np.testing.assert_array_equal(read_image(entry["overlay"]), read_image(picture_file))


def test_a_grid_holds_all_maps_of_a_picture(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    options = ["--style", "grid:contour", "--top", "2", "--method", "gradcam", "--method", "cam"]
    entries = run(cli, model_file, picture_file, tmp_path / "out", *options)
    assert [entry["method"] for entry in entries] == ["gradcam"] * 2 + ["cam"] * 2
    assert {entry["overlay"] for entry in entries} == {str(tmp_path / "out" / "photo.grid.png")}
    assert len({entry["heatmap"] for entry in entries}) == 4
    grid = read_image(entries[0]["overlay"])
    assert grid.shape[1] > 2 * read_image(picture_file).shape[1]


def test_overlays_of_another_format(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    (exact,) = run(cli, model_file, picture_file, tmp_path / "out")
    (entry,) = run(cli, model_file, picture_file, tmp_path / "out", "--format", "jpg")
    assert Path(entry["overlay"]) == Path(exact["overlay"]).with_suffix(".jpg")
    assert read_image(entry["overlay"]).shape == read_image(exact["overlay"]).shape


def test_parameters_go_to_the_methods_that_have_them(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    both = ["--method", "gradcam", "--method", "rise", "--set", "samples=8"]
    assert len(run(cli, model_file, picture_file, tmp_path / "out", *both)) == 2
    wrong = cli("explain", model_file, picture_file, *both, "--set", "sample=8")
    assert "'samples'" in complaint(wrong)


def test_a_recipe_is_what_is_not_said_otherwise(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    def explained(name: str, *options: str) -> list[dict[str, Any]]:
        recipe = ["--recipe", "keras-vgg16", *options]
        return run(cli, model_file, picture_file, tmp_path / name, *recipe)

    assert len(explained("a")) == 3
    (one,) = explained("b", "--top", "1")
    (other,) = explained("c", "--target", "2")
    assert other["target"]["index"] == 2
    (hot,) = explained("d", "--top", "1", "--colormap", "hot")
    assert (read_image(one["overlay"]) != read_image(hot["overlay"])).any()


def test_recipes_are_listed(cli: Cli) -> None:
    assert "keras-vgg16" in cli("recipes").stdout
    assert {one["name"] for one in json.loads(cli("recipes", "--json").stdout)} >= {"default"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--style", "blind"], "'blend'"),
        (["--style", "grid:conture"], "'contour'"),
        (["--colormap", "jett"], "'jet'"),
        (["--alpha", "2"], "alpha 2"),
        (["--gamma", "0"], "gamma"),
        (["--recipe", "keras"], "'keras-vgg16'"),
        (["--axis", "3"], "axis 3"),
        (["--enlarge", "0"], "enlarge 0"),
        (["--format", "gif"], "png, jpg, webp"),
    ],
)
def test_wrong_options_are_refused_before_the_work(
    options: list[str], words: str, cli: Cli, model_file: Path, picture_file: Path
) -> None:
    assert words in complaint(cli("explain", model_file, picture_file, *options))


def test_a_folder_stands_for_its_pictures(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.PNG", "a.png"):
        (folder / name).write_bytes(picture_file.read_bytes())
    (folder / "notes.txt").write_text("no picture")
    found = run(cli, model_file, folder, tmp_path / "out")
    assert [Path(entry["image"]).name for entry in found] == ["a.png", "b.PNG"]
    (tmp_path / "empty").mkdir()
    assert "without pictures" in complaint(cli("explain", model_file, tmp_path / "empty"))


# -- volumes ----------------------------------------------------------------------------------

SIZE = (8, 10, 12)


@pytest.fixture
def volume_model(save: Save) -> Path:
    return save(spatial_net(("n", 1, *SIZE), False))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    values = np.random.default_rng(0).random(SIZE).astype(np.float32)
    write_volume(path, values, np.diag([2.0, 1.5, 1.0, 1.0]))
    return path


def test_a_volume_from_file_to_file(
    cli: Cli, volume_model: Path, scan: Path, tmp_path: Path
) -> None:
    options = ["--axis", "1", "--slice", "middle", "--rotate", "1"]
    (entry,) = run(cli, volume_model, scan, tmp_path / "out", *options)
    assert read_image(entry["overlay"]).shape == (12, 8, 3)
    heat = read_volume(entry["heatmap"])
    assert heat.size == SIZE
    np.testing.assert_allclose(heat.affine, np.diag([2.0, 1.5, 1.0, 1.0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("view", ["montage", "planes"])
def test_views_of_a_volume(
    view: str, cli: Cli, volume_model: Path, scan: Path, tmp_path: Path
) -> None:
    (entry,) = run(cli, volume_model, scan, tmp_path / "out", "--view", view)
    assert read_image(entry["overlay"]).shape[1] > 2 * 12


def test_a_broken_volume_is_reported_and_the_rest_goes_on(
    cli: Cli, volume_model: Path, scan: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(scan.read_bytes()[:100])
    turned = tmp_path / "turned.npy"
    np.save(turned, np.random.default_rng(1).random((10, 8, 12)))
    result = cli("explain", volume_model, broken, turned, scan, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert "broken.nii.gz" in result.stderr
    assert '"axes"' in result.stderr
    assert "[1, 0, 2]" in result.stderr
    assert len(json.loads(result.stdout)) == 1


def test_a_volume_of_another_size_says_that_it_was_resized(
    cli: Cli, volume_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.npy"
    np.save(path, np.random.default_rng(1).random((5, 5, 5)))
    (entry,) = run(cli, volume_model, path, tmp_path / "out")
    assert any("8 x 10 x 12" in warning for warning in entry["warnings"])


def test_a_signal_from_file_to_plot(cli: Cli, save: Save, tmp_path: Path) -> None:
    path = tmp_path / "pulse.csv"
    path.write_text("\n".join(f"{np.sin(k / 3):.4f}" for k in range(40)))
    (entry,) = run(cli, save(spatial_net(("n", 1, 40), False)), path, tmp_path / "out")
    assert np.load(entry["heatmap"]).shape == (40,)
    assert read_image(entry["overlay"]).shape[2] == 3
