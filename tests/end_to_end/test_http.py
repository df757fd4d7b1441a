"""The winner over HTTP, by MLflow's own server."""

import base64
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def address(finished: Path, mlflow_server: Any, tmp_path: Path) -> Iterator[str]:
    """`mlflow models serve -m models:/tiny@best`, which answers."""
    uri = f"sqlite:///{finished}/mlflow.db"
    command = ("models", "serve", "-m", "models:/tiny@best", "--env-manager", "local")
    with mlflow_server(*command, health="ping", folder=tmp_path, MLFLOW_TRACKING_URI=uri) as port:
        yield f"http://127.0.0.1:{port}"


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
