"""A page of this machine alone, to try a checkpoint by dropping pictures on it.

It needs no more than Python's own HTTP server: `GET /` is the page, and `POST /predict?score_threshold=0.5` with the
bytes of a picture file answers with the annotated picture as PNG, or with a sentence that says what is wrong.
"""

import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import torch

from maskrcnn.commands.drop_page import drop_page
from maskrcnn.commands.predictor import Predictor
from maskrcnn.engine.restore import restore
from maskrcnn.prediction.outputs import draw
from maskrcnn.prediction.tiles import Tiling
from maskrcnn.visualize.sheet import encode_png

HOST = "127.0.0.1"
IDLE = 30  # seconds that a connection may keep silent


class DropServer(ThreadingHTTPServer):
    """Answers the page's requests. A thread for each, as browsers keep idle connections; one predicts at a time.

    Args:
        predictor: finds the instances; page: of `drop_page`.
        port: to listen on, of this machine only; 0 for any that is free.
        tiling: how large pictures are cut; limit: bytes that a file may have.
    """

    def __init__(self, predictor: Predictor, page: str, port: int, tiling: Tiling, limit: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.predictor, self.page, self.tiling, self.limit = predictor, page, tiling, limit
        self.lock = threading.Lock()
        self.closed = False

    def predict(self, data: bytes, score_threshold: float) -> tuple[bytes, dict[str, int]]:
        """The annotated picture as PNG, and how many instances of each class are in it.

        Args:
            data: of a picture file; score_threshold: what scores less is left out.

        Raises:
            ValueError: it is not a picture, or not one for this model; or the server was closed.
        """
        with self.lock:
            if self.closed:
                raise ValueError("the page was ended: start drop.py again")
            picture = self.predictor.read.from_bytes(data)
            found = self.predictor.predict(picture, score_threshold, self.tiling, as_read=True)
            return encode_png(draw(picture, found)), dict(Counter(found.names))

    def server_close(self) -> None:
        """Ends, once a prediction that is under way is done: torch aborts a process that leaves in the midst of one."""
        with self.lock:
            self.closed = True
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that went away before its answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: DropServer
    timeout = IDLE

    def do_GET(self) -> None:
        if self._is_local() and self.path == "/":
            self._answer(200, "text/html", self.server.page.encode())
        else:
            self._refuse(404, "there is nothing here but /")

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if not self._is_local() or path != "/predict":
            self._refuse(404, "pictures go to /predict")
        elif not length.isdecimal():
            self._refuse(411, "the request does not say how long it is")
        elif len(length) > 15 or int(length) > self.server.limit:
            self._refuse(413, f"the file has {length[:15]} bytes; at most {self.server.limit} are taken")
        else:
            data = self.rfile.read(int(length))
            try:
                picture, found = self.server.predict(data, _threshold(parse_qs(query)))
            except (ValueError, torch.OutOfMemoryError) as error:
                self._refuse(400, str(error))
            else:
                self._answer(200, "image/png", picture, json.dumps(found))

    def _is_local(self) -> bool:
        # A page elsewhere may have its name lead here (DNS rebinding), or send to here, but the browser says its name.
        host = self.headers.get("Host", "")
        own = f"http://{host}"
        return host.rsplit(":", 1)[0] in (HOST, "localhost") and self.headers.get("Origin", own) == own

    def _refuse(self, status: int, reason: str) -> None:
        self._answer(status, "text/plain", reason.encode())

    def _answer(self, status: int, kind: str, content: bytes, found: str = "{}") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text") else kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Found", found)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass  # the page shows what happens


def _threshold(query: dict[str, list[str]]) -> float:
    """What scores less is left out: `score_threshold` of an address."""
    for name in query:
        if name != "score_threshold":
            raise ValueError(f"unknown parameter {name!r}; there is score_threshold only")
    text = query.get("score_threshold", ["0.5"])[0]
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"score_threshold is {text!r}; give a number from 0 to 1") from None


def drop(
    *,
    checkpoint: str,
    port: int,
    limit_mb: int,
    score_threshold: float,
    tile: Tiling,
    batch_size: int,
    override: list[str],
    device: str,
    plugins: list[str],
) -> None:
    """Serves the page until Ctrl-C.

    Args:
        checkpoint: the file.
        port: of this machine, 0 for any that is free; no other machine reaches it.
        limit_mb: megabytes that a file may have.
        score_threshold: what the page starts with.
        tile: how large pictures are cut; batch_size: tiles that the network sees at once.
        override: changes to the checkpoint's configuration; device: such as cpu or cuda; plugins: packages of yours.

    Raises:
        ValueError: the checkpoint is refused, or the port is taken.
    """
    predictor = Predictor(restore(checkpoint, override, plugins), device, batch_size)
    limit = limit_mb * 2**20
    page = drop_page(checkpoint, predictor.classes, score_threshold, limit)
    try:
        server = DropServer(predictor, page, port, tile, limit)
    except OSError as error:
        raise ValueError(f"port={port} cannot be used ({error.strerror}); port=0 takes one that is free") from error
    print(f"open http://{HOST}:{server.server_port} and drop pictures on it; Ctrl-C ends it", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
