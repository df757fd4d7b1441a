"""From the best configurations to a verdict, champions and a page, by commands alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optrack.search.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow

assert main  # imported here, so that the first test does not wait for it


@pytest.fixture
def said(finished: Path) -> list[dict[str, Any]]:
    """What each of the commands of `finished` said."""
    return json.loads((finished / "answers.json").read_text())


def test_each_command_ends_well_and_names_the_next_ones(said: list[dict[str, Any]]) -> None:
    assert [answer["code"] for answer in said] == [0] * len(said), said
    assert "optrack retrain tiny.py  #" in said[0]["err"]
    assert "optrack test tiny.py  #" in said[1]["err"]
    assert "optrack report tiny.py  #" in said[2]["err"]
    assert "Traceback" not in "".join(answer["err"] for answer in said)


def test_the_test_compares_the_families_in_a_table_and_in_sentences(said: list[dict[str, Any]]) -> None:
    table, judged = said[2]["out"], json.loads(said[3]["out"])
    assert {score["family"] for score in judged["families"]} == {"linear", "deep"}
    for score in judged["families"]:
        assert len(score["accuracies"]) == 2
        assert score["openings"] == 1
        assert f"{100 * score['mean']:.2f}" in table
    assert judged["sentence"] in table
    assert [pair["sentence"] in table for pair in judged["comparisons"]] == [True]


def test_a_second_retraining_trains_nothing(said: list[dict[str, Any]]) -> None:
    assert "4 of 4 models done before" in said[4]["err"]


def test_the_page_needs_no_network_and_says_the_verdict(finished: Path, said: list[dict[str, Any]]) -> None:
    page = (finished / "tiny-report.html").read_text()
    assert json.loads(said[3]["out"])["winner"] in page
    assert len(page) < 10_000_000


def test_everything_stands_in_mlflow_and_no_run_is_left_running(finished: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished}/mlflow.db")
    [experiment] = [item for item in client.search_experiments() if item.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id], max_results=500)
    stages = [run.data.tags["optrack.stage"] for run in runs]
    # Two families, each with two configurations under two seeds in its race.
    assert {stage: stages.count(stage) for stage in stages} == {
        "family": 2,
        "search": 6,
        "confirm": stages.count("confirm"),
        "retrain": 4,
        "report": 1,
    }
    assert {run.info.status for run in runs} == {"FINISHED"}
    retrained = [run for run in runs if run.data.tags["optrack.stage"] == "retrain"]
    for run in retrained:
        assert run.data.tags["optrack.test_openings"] == "1"
        assert 0 <= run.data.metrics["test/accuracy"] <= 1
        names = {item.path for item in client.list_artifacts(run.info.run_id, "model")}
        assert {"model/weights.safetensors", "model/configuration.json", "model/MLmodel"} <= names
        assert [item.path for item in client.list_artifacts(run.info.run_id, "test")] == [
            "test/predictions.npz",
            "test/result.json",
        ]
    first = next(run for run in retrained if run.data.tags["optrack.number"] == "1")
    pictures = {item.path for item in client.list_artifacts(first.info.run_id, "pictures")}
    assert {"pictures/filters.png", "pictures/misclassified.png"} <= pictures


REBUILT = """
import sys
import numpy as np
from optrack.search import load_champion
champion = load_champion("tiny", sys.argv[1] or None, tracking_uri=sys.argv[2])
images = np.load(sys.argv[3])
np.save(sys.argv[4], champion.logits(images))
"""

ANSWERED = """
import sys
import mlflow
import numpy as np
mlflow.set_tracking_uri(sys.argv[1])
images = np.load(sys.argv[2]).transpose(0, 2, 3, 1)
answer = mlflow.pyfunc.load_model("models:/tiny@best").predict(images)
np.save(sys.argv[3], np.array(answer["probabilities"].tolist()))
"""


def test_a_champion_is_rebuilt_from_mlflow_alone_and_all_forms_of_it_agree(
    finished: Path, said: list[dict[str, Any]], tmp_path: Path
) -> None:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    uri = f"sqlite:///{finished}/mlflow.db"
    winner = json.loads(said[3]["out"])["winner"]
    for family, name in (("", "first.npy"), (winner, "second.npy")):
        command = [sys.executable, "-c", REBUILT, family, uri, str(tmp_path / "images.npy"), str(tmp_path / name)]
        # Elsewhere, where nothing of the study lies.
        subprocess.run(command, cwd=tmp_path, check=True)
    logits = np.load(tmp_path / "first.npy")
    assert np.array_equal(logits, np.load(tmp_path / "second.npy"))

    exported = json.loads(said[6]["out"])
    assert exported["family"] == winner
    session: Any = onnxruntime.InferenceSession(str(finished / exported["output"]))
    [found] = session.run(["logits"], {"images": images})
    assert np.abs(found - logits).max() < 1e-4

    command = [sys.executable, "-c", ANSWERED, uri, str(tmp_path / "images.npy"), str(tmp_path / "third.npy")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.abs(np.load(tmp_path / "third.npy") - exponents / exponents.sum(axis=1, keepdims=True)).max() < 1e-4


def test_the_winner_answers_for_files_and_names_those_that_it_cannot_read(
    finished: Path, said: list[dict[str, Any]], folder: Path, optrack: Run
) -> None:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    uri = f"sqlite:///{finished}/mlflow.db"
    answer = optrack("predict", "tiny", ".", "--tracking-uri", uri, "--json")
    assert (answer.returncode, answer.stderr) == (0, "")
    answers = json.loads(answer.stdout)
    assert [item["file"] for item in answers] == ["0.png", "1.png", "2.png"]
    assert all(len({item["label"], *(other["label"] for other in item["next"])}) == 3 for item in answers)
    table = optrack("predict", "tiny", "2.png", "--tracking-uri", uri).stdout
    assert json.loads(said[3]["out"])["winner"] in table
    assert f"{answers[2]['confidence']:.4f}" in table

    (folder / "broken.png").write_bytes(b"no image")
    for form in ("--json", "--csv"):
        broken = optrack("predict", "tiny", ".", "--tracking-uri", uri, "--family", "deep", form)
        assert broken.returncode == 1
        assert broken.stderr == "skipped: broken.png cannot be read: not JPEG, PNG, WebP, TIFF, BMP or PPM\n"
    assert broken.stdout.splitlines()[0].startswith("file,label,confidence")
    assert [line.split(",")[0] for line in broken.stdout.splitlines()[1:]] == ["0.png", "1.png", "2.png"]


PICTURES = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "pictures",
    data=Data("image_folder:pictures"),
    budget=Budget(trials=1, epochs=2),
    pruner=Pruner("none"),
    families=[Family("linear", architecture="logistic", space={"lr": Float(1e-3, 1e-1, log=True)})],
)
"""


@pytest.fixture
def pictures(folder: Path, empty_mlflow: Path) -> Path:
    """A study on own pictures, with a part for tests."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4), ("test", 5)):
        for class_name, base in (("ants", 40), ("bees", 160)):
            place = folder / "pictures" / part / class_name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(base, base + 60, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    (folder / "pictures.py").write_text(PICTURES)
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    return folder


@pytest.mark.parametrize("how", ["gone", "unreadable"])
def test_without_its_test_files_a_study_is_searched_and_retrained_and_the_test_fails_clearly(
    how: str, pictures: Path, optrack: Run
) -> None:
    for file in [*(pictures / "pictures/test").rglob("*.png")]:
        file.write_bytes(b"no image") if how == "unreadable" else file.unlink()
    if how == "gone":
        shutil.rmtree(pictures / "pictures/test")
    assert optrack("run", "pictures.py", "--launcher", "inline").returncode == 0
    assert optrack("retrain", "pictures.py", "--launcher", "inline", "--seeds", 1).returncode == 0
    refused = optrack("test", "pictures.py")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("optrack: error: ")
    assert "test" in refused.stderr
    assert refused.stderr.count("\n") == 1
    # What was not opened does not count as opened.
    shutil.rmtree(pictures / "pictures/test", ignore_errors=True)
    shutil.copytree(pictures / "pictures/val", pictures / "pictures/test")
    judged = json.loads(optrack("test", "pictures.py", "--json").stdout)
    assert [family["openings"] for family in judged["families"]] == [1]


def test_the_test_part_is_opened_once_unless_it_is_asked_for_again(pictures: Path, optrack: Run) -> None:
    assert optrack("run", "pictures.py", "--launcher", "inline").returncode == 0
    assert optrack("retrain", "pictures.py", "--launcher", "inline", "--seeds", 2).returncode == 0
    first = json.loads(optrack("test", "pictures.py", "--json").stdout)
    # Were it opened again, it would not be found.
    shutil.move(pictures / "pictures/test", pictures / "elsewhere")
    shutil.rmtree(pictures / ".optrack/cache", ignore_errors=True)
    assert json.loads(optrack("test", "pictures.py", "--json").stdout) == first
    assert optrack("test", "pictures.py", "--again").returncode == 2
    shutil.move(pictures / "elsewhere", pictures / "pictures/test")
    again = json.loads(optrack("test", "pictures.py", "--again", "--json").stdout)
    assert [family["openings"] for family in again["families"]] == [2]
    assert again["families"][0]["accuracies"] == first["families"][0]["accuracies"]
    row = next(line for line in optrack("test", "pictures.py").stdout.splitlines() if " linear " in line)
    assert row.split()[-1] == "2"
    assert optrack("report", "pictures.py").returncode == 0
    assert "opened" in (pictures / "pictures-report.html").read_text()


def test_a_model_whose_files_are_gone_is_named_with_the_way_out(pictures: Path, optrack: Run) -> None:
    assert optrack("run", "pictures.py", "--launcher", "inline").returncode == 0
    assert optrack("retrain", "pictures.py", "--launcher", "inline", "--seeds", 1).returncode == 0
    [weights] = (pictures / "mlruns").glob("pictures/*/artifacts/model/weights.safetensors")
    weights.unlink()
    for command in ("test", "export"):
        refused = optrack(command, "pictures.py")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "weights.safetensors" in refused.stderr
        assert refused.stderr.count("\n") == 1
    shutil.rmtree(weights.parent)
    refused = optrack("test", "pictures.py")
    assert refused.returncode == 2
    assert "is gone from MLflow" in refused.stderr
    assert "`optrack retrain pictures` makes it again" in refused.stderr
