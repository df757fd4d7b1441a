import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optrack.search.cli import main

Run = Callable[..., tuple[int, str, str]]
DATA_DIR = os.environ.get("OPTRACK_DATA")


@pytest.fixture
def optrack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a folder of its own: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("OPTRACK_DATA", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["optrack", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return (caught.value.code if isinstance(caught.value.code, int) else 0), output.out, output.err

    return run


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """An image folder with two classes of three animals each, four photographs of every animal."""
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / "train" / name).mkdir(parents=True)
        for index in range(12):
            pixels = generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / "train" / name / f"animal{index // 4}_{index}.png")
    return tmp_path / "pets"


def test_stats_as_json_has_the_promised_shape(optrack: Run) -> None:
    code, out, _ = optrack("dataset", "stats", "digits", "--json")
    answer: dict[str, Any] = json.loads(out)
    assert (code, answer["dataset"], answer["classes"]) == (0, "digits", list("0123456789"))
    assert {name: part["images"] for name, part in answer["splits"].items()} == {
        "train": 1149,
        "validation": 288,
        "test": 360,
    }
    for part in answer["splits"].values():
        assert sum(part["per_class"].values()) == part["images"]
    assert (len(answer["mean"]), len(answer["std"]), answer["groups"], answer["duplicates"]) == (1, 1, None, 0)


def test_stats_for_people_is_a_table(optrack: Run) -> None:
    code, out, _ = optrack("dataset", "stats", "digits", "--validation", "0.5", "--split-seed", "3")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["class", "train", "validation", "test"] in lines
    assert ["all", "classes", "718", "719", "360"] in lines
    assert ["layout", "embedded"] in lines


def test_groups_are_counted_with_a_pattern(optrack: Run, pets: Path) -> None:
    arguments = ("dataset", "stats", f"image_folder:{pets}", "--groups", r"^(\w+/\w+?)_", "--json")
    code, out, _ = optrack(*arguments)
    answer = json.loads(out)
    assert (code, answer["groups"]) == (0, {"train": 4, "validation": 2, "shared": 0})
    assert answer["splits"]["test"] is None


def test_a_bad_pattern_is_bad_input_in_one_line(optrack: Run, pets: Path) -> None:
    code, out, err = optrack("dataset", "stats", f"image_folder:{pets}", "--groups", "(")
    assert (code, out) == (2, "")
    assert "optrack: error: the group pattern '(' must be a regular expression" in err.strip().splitlines()[-1]


def test_a_preview_is_a_picture(optrack: Run, pets: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    code, out, _ = optrack("dataset", "preview", f"image_folder:{pets}", "--output", "deep/animals.png")
    assert (code, "deep/animals.png" in out) == (0, True)
    with Image.open(tmp_path / "deep" / "animals.png") as picture:
        assert picture.format == "PNG"
    assert optrack("dataset", "preview", f"image_folder:{pets}")[0] == 0
    assert (tmp_path / "preview-pets.png").is_file()


def test_prepare_says_where_the_images_are(optrack: Run) -> None:
    code, out, _ = optrack("dataset", "prepare", "digits", "--image-size", "16", "--cache-dir", "here")
    assert (code, out.startswith("digits: 1437 images of 1 x 16 x 16 in ")) == (0, True)


def test_missing_data_is_bad_input_with_the_command_that_fetches_it(optrack: Run) -> None:
    code, _, err = optrack("dataset", "stats", "stl10")
    assert code == 2
    assert "fetch it with `optrack dataset prepare stl10 --download --data-dir data`" in err


def test_list_names_all_data_sets(optrack: Run) -> None:
    code, out, _ = optrack("dataset", "list", "--json")
    names = [row["dataset"] for row in json.loads(out)]
    assert (code, {"cifar10", "cinic10", "digits", "fashion_mnist", "gtsrb", "mnist", "stl10"} <= {*names}) == (0, True)


@pytest.mark.data
@pytest.mark.skipif(DATA_DIR is None, reason="OPTRACK_DATA is not set")
def test_stats_of_the_real_signs(optrack: Run) -> None:
    code, out, _ = optrack("dataset", "stats", "gtsrb", "--json", "--data-dir", str(DATA_DIR))
    answer = json.loads(out)
    images = {name: part["images"] for name, part in answer["splits"].items()}
    assert (code, images["train"] + images["validation"], images["test"]) == (0, 39_209, 12_630)
    assert (len(answer["classes"]), answer["groups"]["shared"]) == (43, 0)
    assert answer["groups"]["train"] + answer["groups"]["validation"] == 1307
