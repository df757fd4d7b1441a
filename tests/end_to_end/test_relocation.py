"""A project folder that is moved, copied, linked to or mounted elsewhere, and images and code that get another name."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow

INLINE = ("--launcher", "inline", "--threads", "1")
CAME = "mlflow.db came here from"

COMMANDS = (
    "predict tiny.py a.png",
    "test tiny.py --json",
    "report tiny.py",
    "export tiny.py",
    "run tiny.py --trials 4 --launcher inline --threads 1",
    "retrain tiny.py --seeds 2 --launcher inline --threads 1",
    "sync",
)


@pytest.fixture
def project(finished: Path, tmp_path: Path, forked_optrack: Path) -> Path:
    """A finished project with champions, in a folder of its own."""
    project = shutil.copytree(finished, tmp_path / "project")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(project / "a.png")
    assert CAME in called(forked_optrack, project, "predict tiny.py a.png").stderr
    return project


def called(script: Path, folder: Path, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    answer = subprocess.run(
        [script, *command.split(), *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def judged(folder: Path) -> object:
    """What the test said in the first folder."""
    return json.loads(json.loads((folder / "answers.json").read_text())[3]["out"])


def assert_all_works(script: Path, folder: Path, old: Path) -> None:
    """Every command works there; the first one says so, and nothing names the old folder any more."""
    answers = {command: called(script, folder, command) for command in COMMANDS}
    told = [CAME in answer.stderr for answer in answers.values()]
    assert told == [True] + [False] * (len(COMMANDS) - 1)
    assert "gone" not in "".join(answer.stderr for answer in answers.values())
    assert json.loads(answers["test tiny.py --json"].stdout) == judged(folder)
    assert "MLflow is equal to Optuna's storage" in answers["sync"].stderr
    names = ("mlflow.db", "mlflow.db-wal", "optuna.db", "optuna.db-wal", "tiny-report.html")
    for name in names:
        assert not (folder / name).exists() or f"{old}/".encode() not in (folder / name).read_bytes()


@contextmanager
def mlflow_by_hand(folder: Path, port: int) -> Generator[str]:
    """What somebody gets who types `mlflow ui` there: the address."""
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    ) as server:
        try:
            for _ in range(600):
                with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health"):
                    break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def test_a_folder_goes_on_where_it_was_moved_to(
    project: Path, forked_optrack: Path, unused_ports: tuple[int, int]
) -> None:
    moved = project.rename(project.with_name("moved"))
    assert_all_works(forked_optrack, moved, project)
    assert not project.exists()
    client = MlflowClient(f"sqlite:///{moved}/mlflow.db")
    version = client.get_model_version_by_alias("tiny", "best")
    port, _ = unused_ports
    with mlflow_by_hand(moved, port) as address:
        page = f"{address}/get-artifact?path=model/configuration.json&run_uuid={version.run_id}"
        assert json.loads(urlopen(page).read())["study"] == "tiny"  # noqa: S310


def test_a_copy_goes_on_and_its_original_stays_as_it_is(project: Path, forked_optrack: Path) -> None:
    before = files(project)
    copy = shutil.copytree(project, project.with_name("copy"))
    assert_all_works(forked_optrack, copy, project)
    assert files(project) == before


def test_a_link_to_the_folder_leads_to_the_same_artifacts(project: Path, forked_optrack: Path) -> None:
    link = project.with_name("link")
    link.symlink_to(project)
    for uri in ("sqlite:///mlflow.db", f"sqlite:///{link}/mlflow.db"):
        answer = called(forked_optrack, link, "predict tiny.py a.png --tracking-uri", uri)
        assert CAME not in answer.stderr
    moved = project.rename(project.with_name("moved"))
    link.unlink()
    link.symlink_to(moved)
    uri = f"sqlite:///{link}/mlflow.db"
    answer = called(forked_optrack, link, "predict tiny.py a.png --tracking-uri", uri)
    assert CAME in answer.stderr


MOUNTED = """
mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" && cd "$2" || exit 99
shift 2
exec "$@"
"""


def test_a_folder_that_may_only_be_read_is_read(project: Path, tmp_path: Path) -> None:
    place, outside = tmp_path / "mounted", tmp_path / "outside"
    place.mkdir()
    outside.mkdir()
    script = Path(sys.executable).with_name("optrack")

    def mounted(*command: object) -> subprocess.CompletedProcess[str]:
        unshared = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", moved, place]
        return subprocess.run([*unshared, *map(str, command)], capture_output=True, text=True, timeout=120, check=False)

    moved = project.rename(tmp_path / "moved")
    if shutil.which("unshare") is None or mounted("touch", "new").returncode != 1:
        pytest.skip("needs the right to mount")
    before = files(moved)
    for command in (
        "status tiny.py",
        "best tiny.py --json",
        f"importance tiny.py --output {outside}/importance.html",
        f"report tiny.py --output {outside}/report.html",
        "predict tiny.py a.png",
        f"export tiny.py --output {outside}/tiny.onnx",
    ):
        answer = mounted(script, *command.split())
        assert answer.returncode == 0, answer.stderr
    for command in ("run tiny.py", "retrain tiny.py", "test tiny.py", "sync", "report tiny.py", "export tiny.py"):
        answer = mounted(script, *command.split())
        assert answer.returncode == 2
        assert answer.stderr.startswith("optrack: error: ")
        assert "may only be read" in answer.stderr
    assert {path.name for path in outside.iterdir()} == {"importance.html", "report.html", "tiny.onnx"}
    assert files(moved) == before


PICTURES = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "pictures",
    data=Data("image_folder:IMAGES", image_size=8),
    budget=Budget(trials=1, epochs=1),
    pruner=Pruner("none"),
    families=[
        Family("linear", architecture="logistic", space={"lr": Float(1e-3, 1e-1, log=True)}),
        Family("own", architecture="NETWORK:Net", space={"lr": Float(1e-3, 1e-1, log=True)}),
    ],
)
"""

NETWORK = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, input_shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))
"""


@pytest.fixture
def pictures(folder: Path, empty_mlflow: Path) -> Callable[[str, str], None]:
    """A study of images and a network; `pictures("photos", "nets/mine.py")` gives both another place."""
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    generator, now = np.random.default_rng(0), {"IMAGES": folder / "images", "NETWORK": folder / "net.py"}
    for label in range(2):
        (folder / f"images/{label}").mkdir(parents=True)
        for number in range(15):
            pixels = generator.integers(100 * label, 100 * label + 100, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"images/{label}/{number}.png")
    now["NETWORK"].write_text(NETWORK)

    def put(images: str, network: str) -> None:
        text = PICTURES
        for what, name in (("IMAGES", images), ("NETWORK", network)):
            (folder / name).parent.mkdir(exist_ok=True)
            now[what] = now[what].rename(folder / name)
            text = text.replace(what, name)
        (folder / "pictures.py").write_text(text)

    return put


def test_images_and_code_that_are_the_same_may_have_another_place(
    folder: Path, optrack: Run, pictures: Callable[[str, str], None]
) -> None:
    def said(*arguments: str) -> list[str]:
        answer = optrack(*arguments)
        assert answer.returncode == 0, answer.stderr
        return [line for line in answer.stderr.splitlines() if "in another place" in line]

    def lines(images: str, network: str) -> list[str]:
        return [
            f"images: 'image_folder:{images}' is 'image_folder:first' in another place, unchanged",
            f"network: '{network}:Net' is 'net.py:Net' in another place, unchanged",
        ]

    pictures("first", "net.py")
    assert said("run", "pictures.py", *INLINE) == []
    pictures("second", "nets/second.py")
    assert said("retrain", "pictures.py", "--seeds", "1", *INLINE) == lines("second", "nets/second.py")
    pictures("third", "third.py")
    assert said("test", "pictures.py") == lines("third", "third.py")
    assert said("report", "pictures.py") == []
    pictures("fourth", "fourth.py")
    assert said("run", "pictures.py", "--trials", "2", *INLINE) == lines("fourth", "fourth.py")
    assert said("run", "pictures.py", "--trials", "3", *INLINE) == []
    (folder / "fourth/0/0.png").unlink()
    answer = optrack("run", "pictures.py", "--trials", "4", *INLINE)
    assert (answer.returncode, "digest of the images was" in answer.stderr) == (2, True)
