import base64
import http.client
import io
import json
import re
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from optrack.architectures import architecture
from optrack.search.champions.champion import Champion, load_folder, save_folder
from optrack.search.champions.prediction import Prediction, predict
from optrack.search.champions.recipe import Recipe
from optrack.search.servers import drop_page as serving
from optrack.search.servers.drop_page import Ranking, Served, agreement, page_app
from optrack.search.servers.listening import listener, server_of
from optrack.search.study.study import Reference

HOSTILE = "<script>alert('1 & 2')</script>"
ROTATED = 6
ORIENTATION = 0x0112

Ask = Callable[..., tuple[int, Any]]


def made(
    folder: Path, family: str, seed: int, *, classes: Sequence[str] = tuple("abcdefg"), channels: int = 3, **more: Any
) -> Champion:
    """A network with random weights for images of 28x28 pixels."""
    torch.manual_seed(seed)
    model = architecture("lenet")((channels, 28, 28), len(classes))
    configuration = {
        "study": "mine",
        "family": family,
        "architecture": "lenet",
        "model": {},
        "input": [channels, 28, 28],
        "classes": list(classes),
        "mean": [0.4] * channels,
        "std": [0.2] * channels,
        "data": {"image_size": 28},
        **more,
    }
    save_folder(folder, state=model.state_dict(), recipe=Recipe.model_validate(configuration))
    return load_folder(folder)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    """Three champions, of which one takes grey images."""
    folder = tmp_path_factory.mktemp("champions")
    return [
        Served(
            champion=made(folder / "wide", "wide", 1),
            best=True,
            test=0.958,
            reference=Reference(validation=0.9, test=0.936, source=HOSTILE),
        ),
        Served(champion=made(folder / "small", "small", 2)),
        Served(champion=made(folder / "grey", "grey", 3, channels=1)),
    ]


@contextmanager
def serving_at(served: Sequence[Served], **options: Any) -> Generator[int]:
    """The port of a page that is served by a thread until the block ends."""
    server = server_of(page_app("mine", served, **options))
    with listener(0, option="--port") as opened:
        thread = Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            yield opened.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(port: int, method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """The status of an answer, and its JSON or text; http.client, because urllib would ask a configured proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read().decode()
        is_json = answer.getheader("Content-Type") == "application/json"
        return answer.status, json.loads(content) if is_json else content
    finally:
        connection.close()


@pytest.fixture
def post(served: list[Served]) -> Iterator[Ask]:
    with serving_at(served) as port:
        yield partial(ask, port, "POST", "/predict")


def noise(*shape: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def photograph() -> bytes:
    """Large, and taken with the camera turned."""
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATED
    smooth = noise(12, 9, 3).resize((900, 1200), Image.Resampling.BICUBIC)
    return encoded(smooth, "JPEG", exif=exif)


FILES = {
    "photograph": photograph,
    "transparent": lambda: encoded(noise(40, 31, 4), "PNG"),
    "grey": lambda: encoded(noise(28, 28), "PNG"),
    "deep": lambda: encoded(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50), "PNG"),
    "palette": lambda: encoded(noise(33, 44, 3).quantize(16), "PNG"),
    "tiny": lambda: encoded(noise(1, 1, 3), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", FILES)
def test_each_family_says_to_the_bit_what_predict_says_of_the_file(
    name: str, served: list[Served], post: Ask, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name]())
    status, answer = post(file.read_bytes())
    assert status == 200
    assert [each["family"] for each in answer["families"]] == ["wide", "small", "grey"]
    for each, said in zip(served, answer["families"], strict=True):
        [expected] = predict(each.champion, [file])
        assert isinstance(expected, Prediction)
        ranking = [(entry["label"], entry["confidence"]) for entry in said["ranking"]]
        assert ranking[:3] == list(expected.ranking)
        assert (said["label"], said["confidence"]) == expected.ranking[0]
        assert len(ranking) == 5
        assert ranking == sorted(ranking, key=lambda entry: -entry[1])
    labels = {each["family"]: each["label"] for each in answer["families"]}
    assert {family: group["label"] for group in answer["groups"] for family in group["families"]} == labels


def test_fewer_classes_than_ranks_are_all_shown(tmp_path: Path) -> None:
    champion = made(tmp_path, "two", 1, classes=("yes", "no"))
    with serving_at([Served(champion=champion)]) as port:
        _, answer = ask(port, "POST", "/predict", FILES["grey"]())
    assert {entry["label"] for entry in answer["families"][0]["ranking"]} == {"yes", "no"}


def said(**labels: str) -> dict[str, Ranking]:
    return {family: ((label, 0.9), ("other", 0.1)) for family, label in labels.items()}


def test_families_that_say_the_same_stand_together_the_most_first() -> None:
    assert agreement(said(a="cat", b="cat")) == [("cat", ["a", "b"])]
    assert agreement(said(a="cat", b="dog", c="dog")) == [("dog", ["b", "c"]), ("cat", ["a"])]
    assert agreement(said(a="cat", b="dog")) == [("cat", ["a"]), ("dog", ["b"])]  # the winner stands first


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JPEG, PNG, WebP, TIFF, BMP or PPM"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not JPEG"),
        (b"hello", "not JPEG, PNG, WebP, TIFF, BMP or PPM"),
        (encoded(noise(40, 40, 3), "PNG")[:-400], "truncated"),
        (encoded(noise(200, 200, 3), "JPEG")[:-4000], "truncated"),
        (encoded(Image.new("F", (3, 3)), "TIFF"), "floating point"),
    ],
)
def test_what_is_no_image_is_refused_in_one_sentence(content: bytes, reason: str, post: Ask) -> None:
    status, answer = post(content)
    assert status == 400
    assert re.fullmatch(rf"This file cannot be read as an image: .*{reason}.*\.", answer["error"])
    assert post(FILES["grey"]())[0] == 200


@pytest.mark.parametrize("most", [1000, 400])
def test_a_decompression_bomb_is_refused(most: int, post: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)  # Pillow warns above it, and raises above twice as much
    status, answer = post(encoded(noise(30, 40), "PNG"))
    assert status == 400
    reason = f"more than {most:,} pixels, Pillow's guard against decompression bombs"
    assert answer == {"error": f"This file cannot be read as an image: {reason}."}


def test_a_file_at_the_limit_is_taken_and_a_larger_one_refused(served: list[Served]) -> None:
    content = FILES["grey"]()
    with serving_at(served, most_bytes=len(content)) as port:
        assert ask(port, "POST", "/predict", content)[0] == 200
        status, answer = ask(port, "POST", "/predict", content + b"x")
    assert status == 413
    assert "MiB, which is the limit." in answer["error"]


def test_a_file_that_is_too_large_is_not_read_to_its_end(served: list[Served]) -> None:
    with serving_at(served, most_bytes=1000) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {10**12}\r\n\r\n"
        connection.sendall(head.encode() + bytes(1001))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"Content-Length: 999\r\n\r\nhalf of it"])
def test_a_client_that_falls_silent_in_the_middle_of_a_request_is_let_go(
    sent: bytes, served: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optrack.search.servers.deadline.REQUEST_SECONDS", 0.3)
    with serving_at(served) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        assert connection.recv(1000) == b""
        assert ask(port)[0] == 200


def test_a_client_that_drips_its_request_is_let_go(served: list[Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optrack.search.servers.deadline.REQUEST_SECONDS", 0.5)
    with serving_at(served) as port, socket.create_connection(("127.0.0.1", port), timeout=0.05) as connection:
        connection.sendall(HEAD)
        for _ in range(1000):
            try:
                connection.sendall(b"x")
                if connection.recv(1000) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("the connection stayed open")


def test_several_requests_on_one_connection_each_have_their_time(
    served: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optrack.search.servers.deadline.REQUEST_SECONDS", 5.0)
    with serving_at(served) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(3):
            connection.request("POST", "/predict", FILES["grey"]())
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["families"][0]["family"]) == (200, "wide")
        connection.close()


def test_another_host_name_leads_nowhere(served: list[Served]) -> None:
    with serving_at(served) as port:
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "0.0.0.0"):  # noqa: S104
            assert ask(port, Host=host)[0] == 400
            assert ask(port, "POST", "/predict", FILES["grey"](), Host=host)[0] == 400
        for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
            assert ask(port, Host=host)[0] == 200


def test_another_page_cannot_ask(served: list[Served]) -> None:
    with serving_at(served) as port:

        def status(origin: str, host: str = f"127.0.0.1:{port}") -> int:
            return ask(port, "POST", "/predict", FILES["grey"](), Origin=origin, Host=host)[0]

        others = ("null", "https://evil.example", f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port}")
        assert [status(origin) for origin in others] == [403] * len(others)
        assert status(f"http://127.0.0.1:{port}") == 200
        assert status(f"http://localhost:{port}", f"localhost:{port}") == 200
        assert ask(port, "GET", "/predict")[0] == 405
        assert ask(port, "GET", "/docs")[0] == 404


@pytest.fixture
def page(served: list[Served]) -> str:
    with serving_at(served, missing=["resnet", "vgg"]) as port:
        return ask(port)[1]


def text_of(page: str) -> str:
    body = re.sub(r"<script.*?</script>", "", page.split("<body>")[1], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", "", body).split())


def test_the_page_names_families_with_their_figures_and_those_without_a_champion(page: str) -> None:
    text = text_of(page)
    assert "<title>mine: what its champions see</title>" in page
    assert "wide winner says otherwise test 95.80 % reported 93.60 % " in text
    assert "small says otherwise not tested yet " in text
    assert "No champion yet: resnet, vgg." in text


def test_hostile_text_is_escaped(page: str) -> None:
    assert HOSTILE not in page
    assert "Reported for wide: &lt;script&gt;alert(&#39;1 &amp; 2&#39;)&lt;/script&gt;" in page


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert re.findall(r"(?:src|href|action)=\"([^\"]*)", page) == ["data:,"]
    assert not re.search(r"url\(|@import", page.partition("</style>")[0])
    assert not re.search(r"https?://|plotly", page.lower())
    assert not re.search(r"<[^>]* (style|on\w+)=", page)  # the policy would not let them be


def test_the_policy_lets_only_the_page_s_own_scripts_run_and_names_them_anew_each_time(served: list[Served]) -> None:
    nonces: list[str] = []
    with serving_at(served) as port:
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/")
            answer = connection.getresponse()
            policy = str(answer.getheader("Content-Security-Policy"))
            [nonce] = set(re.findall(r"nonce-([\w-]+)", policy))
            tags = re.findall(r"<(?:script|style)[^>]*>", answer.read().decode())
            connection.close()
            assert len(tags) == 2
            assert all(f'nonce="{nonce}"' in tag for tag in tags)
            assert "unsafe" not in policy
            nonces.append(nonce)
    assert len(set(nonces)) == 2


@pytest.mark.parametrize(
    ("test", "metric", "reference", "accuracy", "reported"),
    [
        (0.9, "val_accuracy", (0.7, 0.8), ("test", 0.9), ("test", 0.8)),
        (0.9, "val_accuracy", (0.7, None), ("test", 0.9), ("validation", 0.7)),
        (None, "val_accuracy", (0.7, 0.8), ("validation", 0.5), ("validation", 0.7)),
        (None, "val_accuracy", (None, 0.8), ("validation", 0.5), ("test", 0.8)),
        (None, "val_loss", (0.7, 0.8), None, ("test", 0.8)),
        (None, None, (None, None), None, None),
        (0.9, None, None, ("test", 0.9), None),
    ],
)
def test_accuracies_of_the_same_images_stand_beside_each_other(
    served: list[Served], test: float | None, metric: str | None, reference: Any, accuracy: Any, reported: Any
) -> None:
    known = {**served[1].champion.recipe.as_json(), "metric": metric, "value": 0.5}
    stated = None if reference is None else Reference(validation=reference[0], test=reference[1], source="report 7")
    champion = replace(served[1].champion, recipe=Recipe.model_validate(known))
    each = Served(champion=champion, test=test, reference=stated)
    assert (each.accuracy, each.reported) == (accuracy, reported)


def test_an_untested_family_says_so_and_on_which_images_it_and_others_were_right(served: list[Served]) -> None:
    known = {**served[1].champion.recipe.as_json(), "metric": "val_accuracy", "value": 0.5}
    each = Served(
        champion=replace(served[1].champion, recipe=Recipe.model_validate(known)),
        reference=Reference(validation=0.7, source="report 7"),
    )
    with serving_at([each]) as port:
        text = text_of(ask(port)[1])
    assert "validation 50.00 % not tested yet reported on validation 70.00 %" in text
    assert "Reported: report 7" in text


class Waiting(nn.Module):
    """A network that waits for a sign."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(()))
        self.begun, self.sign, self.calls = Event(), Event(), 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        self.begun.set()
        assert self.sign.wait(60)
        return torch.eye(7)[: len(images)] + self.zero


def test_the_page_answers_while_a_network_thinks_and_nothing_is_done_for_those_who_have_gone(
    served: list[Served],
) -> None:
    model = Waiting()
    slow = Served(champion=replace(served[0].champion, model=model))
    content, statuses = FILES["grey"](), list[int]()

    def predict_one(port: int) -> None:
        statuses.append(ask(port, "POST", "/predict", content)[0])

    with serving_at([slow]) as port:
        first = Thread(target=predict_one, args=(port,))
        first.start()
        assert model.begun.wait(60)
        with socket.create_connection(("127.0.0.1", port)) as impatient:
            head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
            impatient.sendall(head.encode() + content)
            assert ask(port)[0] == 200
        assert ask(port)[0] == 200
        model.sign.set()
        predict_one(port)
        first.join()
    assert statuses == [200, 200]
    assert model.calls == 2


DROP = """
const bytes = Uint8Array.from(atob("CONTENT"), (character) => character.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], "one.png", { type: "image/png" }));
document.querySelector(".drop").dispatchEvent(
  new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }),
);
"""


@pytest.mark.slow
def test_a_browser_shows_what_the_families_say_of_an_image_that_is_dropped(
    served: list[Served], monkeypatch: pytest.MonkeyPatch, browse: Callable[[str, Callable[[str], bool]], str]
) -> None:
    content = FILES["grey"]()
    drop = DROP.replace("CONTENT", base64.b64encode(content).decode())
    render = serving.render

    def with_a_drop(*arguments: Any, **values: Any) -> str:
        script = f'<script nonce="{values["nonce"]}">{drop}</script></body>'
        return render(*arguments, **values).replace("</body>", script)

    monkeypatch.setattr(serving, "render", with_a_drop)
    with serving_at(served) as port:
        _, expected = ask(port, "POST", "/predict", content)
        seen = browse(f"http://127.0.0.1:{port}/", lambda seen: seen.count('class="bar"') == 3 * 5)
    labels = re.findall(r'<strong class="label">([^<]*)<', seen)
    assert labels == [each["label"] for each in expected["families"]]
    first = expected["families"][0]["confidence"]
    assert f'<span class="confidence">{100 * first:.1f} %</span>' in seen
    assert len(re.findall(r'class="bar"', seen)) == 3 * 5
    assert re.search(r"one\.png, 28 . 28 pixels", seen)
