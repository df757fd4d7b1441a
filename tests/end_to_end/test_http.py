"""The winner over HTTP, by MLflow's own server."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]

START_SECONDS = 120


@pytest.fixture
def address(finished: Path) -> Iterator[str]:
    """`mlflow models serve -m models:/tiny@best`, which answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scripts = Path(sys.executable).parent
    command = ["mlflow", "models", "serve", "-m", "models:/tiny@best", "--env-manager", "local", "-p", str(port)]
    process = subprocess.Popen(
        command,
        executable=scripts / "mlflow",
        env={
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{finished}/mlflow.db",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it starts its web server as a further process
    )
    url = f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + START_SECONDS
        while not answers(f"{url}/ping"):
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own address
            return response.status == 200
    except OSError:
        return False


@pytest.mark.slow
def test_mlflow_s_server_says_of_image_files_what_predict_says(
    finished: Path, address: str, folder: Path, optrack: Run
) -> None:
    files: list[Path] = []
    for number in range(10):
        pixels = np.random.default_rng(number).integers(0, 256, (40 + number, 30, 3), dtype=np.uint8)
        files.append(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
        Image.fromarray(pixels).save(files[-1])
    body = json.dumps({"inputs": [base64.b64encode(file.read_bytes()).decode() for file in files]}).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own address
        served: list[dict[str, Any]] = json.load(response)["predictions"]

    uri = f"sqlite:///{finished}/mlflow.db"
    said = json.loads(optrack("predict", "tiny", *files, "--tracking-uri", uri, "--json").stdout)
    assert [answer["label"] for answer in served] == [answer["label"] for answer in said]
    assert [answer["confidence"] for answer in served] == pytest.approx([answer["confidence"] for answer in said])
