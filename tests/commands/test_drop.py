"""The page to drop pictures on, asked as a browser asks it, with a model whose output is hand-made."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from maskrcnn.commands.drop import DropServer
from maskrcnn.commands.drop_page import drop_page
from maskrcnn.data.pictures import PictureReader
from maskrcnn.evaluation.results import Result
from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.ops.paste import Crop
from maskrcnn.prediction.outputs import draw
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.tiles import Tiling

LIMIT = 10_000
PICTURE = np.zeros((40, 50, 3), np.uint8)


def found(picture: np.ndarray, score_threshold: float, tiling: Tiling, as_read: bool) -> Prediction:
    """A square of score 0.7 in every picture."""
    (rle,) = encode_crops([Crop(np.ones((8, 8), bool), 4, 6)], picture.shape[:2])
    square = Result(image_id=0, category_id=1, bbox=[6.0, 4.0, 8.0, 8.0], score=0.7, segmentation=rle)
    return Prediction(picture.shape[:2], ["disc", "square"], [square] if score_threshold <= 0.7 else [])


@pytest.fixture
def server() -> Iterator[DropServer]:
    predictor = SimpleNamespace(read=PictureReader(3, 65535), predict=found)
    page = drop_page("best.ckpt", ["disc", "<b>"], 0.5, LIMIT)
    server = DropServer(predictor, page, 0, Tiling(size=None, overlap=0), LIMIT)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(
    server: DropServer, method: str, path: str, body: bytes = b"", headers: dict[str, str] = {}
) -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers["X-Found"]


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def test_a_picture_comes_back_annotated(server: DropServer) -> None:
    status, body, counts = ask(server, "POST", "/predict?score_threshold=0.7", png(PICTURE))
    assert status == 200 and json.loads(str(counts)) == {"square": 1}
    drawn = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(drawn, draw(PICTURE, found(PICTURE, 0.5, Tiling(size=None, overlap=0), True)))
    status, body, counts = ask(server, "POST", "/predict?score_threshold=0.75", png(PICTURE))
    assert status == 200 and json.loads(str(counts)) == {}


def test_the_page_stands_by_itself_and_is_of_this_machine_alone(server: DropServer) -> None:
    status, body, _ = ask(server, "GET", "/")
    page = body.decode()
    assert status == 200 and "Finds disc, &lt;b&gt;." in page and f"const LIMIT = {LIMIT};" in page
    assert "http" not in page.replace("<!doctype html>", "")  # nothing is fetched from elsewhere
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "GET", "/", headers={"Host": "elsewhere.org"})[0] == 404
    assert ask(server, "GET", "/", headers={"Host": f"localhost:{server.server_port}"})[0] == 200
    assert ask(server, "POST", "/predict", png(PICTURE), {"Host": "elsewhere.org"})[0] == 404
    # A browser says which page sends; one of another site, or of a file, is not to have pictures decoded.
    own = f"127.0.0.1:{server.server_port}"
    for origin, status in (
        (f"http://{own}", 200),
        ("http://elsewhere.org", 404),
        ("http://127.0.0.1:1", 404),
        ("null", 404),
    ):
        assert ask(server, "POST", "/predict", png(PICTURE), {"Host": own, "Origin": origin})[0] == status


def test_a_length_of_thousands_of_digits_is_answered(server: DropServer, capsys: pytest.CaptureFixture[str]) -> None:
    status, body, _ = ask(server, "POST", "/predict", headers={"Content-Length": "9" * 5000})
    assert (status, body) == (413, b"the file has 999999999999999 bytes; at most 10000 are taken")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("/predict", b"no picture", {}, 400, "the file is not a picture, or broken (10 bytes)"),
        (
            "/predict?score_threshold=high",
            png(PICTURE),
            {},
            400,
            "score_threshold is 'high'; give a number from 0 to 1",
        ),
        ("/predict?score_treshold=1", png(PICTURE), {}, 400, "unknown parameter 'score_treshold'; there is score_"),
        ("/predict", b"x" * (LIMIT + 1), {}, 413, f"the file has {LIMIT + 1} bytes; at most {LIMIT} are taken"),
        ("/predict", b"", {"Content-Length": "-5"}, 411, "the request does not say how long it is"),
        ("/elsewhere", b"", {}, 404, "pictures go to /predict"),
    ],
)
def test_what_is_wrong_is_said(
    path: str, body: bytes, headers: dict[str, str], status: int, reason: str, server: DropServer
) -> None:
    answer = ask(server, "POST", path, body, headers)
    assert answer[0] == status and answer[1].decode().startswith(reason)
    assert ask(server, "POST", "/predict", png(PICTURE))[0] == 200  # and the next one is answered


def test_an_idle_connection_keeps_nobody_waiting(server: DropServer) -> None:
    idle = http.client.HTTPConnection("127.0.0.1", server.server_port)
    idle.connect()
    assert ask(server, "GET", "/")[0] == 200
    idle.close()


class Slow:
    """A prediction that begins, and ends when told to."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.done: list[str] = []

    def __call__(self, picture: np.ndarray, score_threshold: float, tiling: Tiling, as_read: bool) -> Prediction:
        self.begun.set()
        assert self.go.wait(20)
        self.done.append("predicted")
        return found(picture, score_threshold, tiling, as_read)


def test_the_end_waits_for_the_prediction_under_way(server: DropServer) -> None:
    slow = server.predictor.predict = Slow()  # type: ignore[assignment, method-assign]
    asking = threading.Thread(target=ask, args=(server, "POST", "/predict", png(PICTURE)))
    asking.start()
    assert slow.begun.wait(20)
    closing = threading.Thread(target=lambda: (server.server_close(), slow.done.append("closed")))
    closing.start()
    closing.join(0.2)
    slow.go.set()
    closing.join(20)
    asking.join(20)
    assert slow.done == ["predicted", "closed"]
    with pytest.raises(ValueError, match="the page was ended"):
        server.predict(png(PICTURE), 0.5)


def test_a_browser_that_went_away_is_no_error(server: DropServer, capsys: pytest.CaptureFixture[str]) -> None:
    slow = server.predictor.predict = Slow()  # type: ignore[assignment, method-assign]
    body = png(PICTURE)
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
        head = f"POST /predict HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        assert slow.begun.wait(20)
    answering = [thread for thread in threading.enumerate() if "process_request" in thread.name]
    slow.go.set()
    for thread in answering:
        thread.join(20)
    assert slow.done == ["predicted"] and capsys.readouterr().err == ""
