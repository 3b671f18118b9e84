"""The demo in a real browser: a server for its files, and pages of a headless Chromium."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "demo"
MODELS = REPOSITORY / "models"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # WebGPU without a graphics card, for the test that asks for it
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
)

Run = Callable[..., Any]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Nothing: requests are no news."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is served as /files."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def site(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the demo as /demo, the models as /models, and /files."""
    if not (DEMO / "ort").is_dir():
        pytest.fail("run demo/fetch.sh first: onnxruntime-web is missing")
    root = tmp_path_factory.mktemp("site")
    for name, folder in {"demo": DEMO, "models": MODELS, "files": files}.items():
        (root / name).symlink_to(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium of this computer, else the one that playwright installs."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=SWITCHES)


@pytest.fixture
def page(browser: Any, site: str) -> Iterator[Any]:
    """A fresh page at the demo's address, without a model; errors of its scripts fail the test."""
    page = browser.new_page(base_url=site, viewport={"width": 1200, "height": 800})
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto("/demo/index.html")
    page.wait_for_selector("main:not([hidden])")
    yield page
    page.close()
    assert not failures


@pytest.fixture(scope="module")
def run(browser: Any, site: str) -> Iterator[Run]:
    """`run("preprocess", "m => m.PRESETS", ...)`: a function of one of the demo's modules and of
    what else is given, as JSON there and back."""
    page = browser.new_page(base_url=site)
    page.goto("/demo/index.html")

    def call(module: str, function: str, *given: Any) -> Any:
        code = f"async (given) => ({function})(await import('/demo/js/{module}.js'), ...given)"
        return page.evaluate(code, list(given))

    yield call
    page.close()
