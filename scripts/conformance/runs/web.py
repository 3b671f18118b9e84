"""ONNX Runtime Web in a real, headless Chromium: a page that asks this server for its jobs.

    python -m conformance.runs.web CHROMIUM DIST wasm|webgpu JOBS FOLDER

DIST is the folder `dist` of the npm package onnxruntime-web.
"""

from __future__ import annotations

import itertools
import mimetypes
import signal
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from conformance.exchange import read_jobs, say

HERE = Path(__file__).resolve().parent
PAGE = b'<!doctype html><title>onnxcam</title><script type="module" src="/page.mjs"></script>'
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("application/wasm", ".wasm")

FLAGS = {
    "wasm": (),
    # no graphics card is needed: SwiftShader computes on the CPU
    "webgpu": ("--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-vulkan=swiftshader",
               "--use-webgpu-adapter=swiftshader"),
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """The page's questions and answers; `server` carries what they need."""

    server: Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            return self._send(PAGE, "text/html")
        if path == "/jobs":
            return self._send(self.server.jobs.read_bytes(), "text/plain")
        file = self._file(path)
        if file is None or not file.is_file():
            return self.send_error(404)
        return self._send(
            file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        )

    def _file(self, path: str) -> Path | None:
        if path.startswith("/ort/"):
            return self.server.dist / Path(path).name
        if path.startswith("/file/"):
            wanted = Path(path.removeprefix("/file"))
            return wanted if wanted in self.server.readable else None
        return HERE / Path(path).name

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path)
        if path.path == "/say":
            say(*body.decode().split("\t"))
        elif path.path == "/output":
            self._output(dict(parse_qsl(path.query, keep_blank_values=True)), body)
        else:
            self.server.ended.set()
        self._send(b"", "text/plain")

    def _output(self, what: dict[str, str], body: bytes) -> None:
        file = self.server.folder.resolve() / f"{next(self.server.numbers)}.bin"
        file.write_bytes(body)
        say("output", what["job"], what["name"], what["dtype"], what["dims"], str(file))

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are no news."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, jobs: Path, folder: Path, dist: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.jobs, self.folder, self.dist = jobs, folder, dist
        inputs = (line.split("\t")[-1] for line in jobs.read_text().splitlines() if line)
        self.readable = {Path(name) for name in inputs} | {job.model for job in read_jobs(jobs)}
        self.numbers = itertools.count()
        self.ended = threading.Event()


def main(chromium: str, dist: str, backend: str, jobs: str, folder: str) -> int:
    server = Server(Path(jobs), Path(folder), Path(dist))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.Popen(
            [
                chromium, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
                f"--user-data-dir={profile}", *FLAGS[backend],
                f"http://127.0.0.1:{server.server_port}/?backend={backend}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not server.ended.wait(0.2):
                if browser.poll() is not None:
                    return 1
        finally:
            browser.terminate()
            browser.wait()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the browser would stay
    sys.exit(main(*sys.argv[1:]))
