"""From a folder of photographs to a winner, by the commands that the tool prints; and folders that cannot be used."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optrack.architectures.pretrained_weights import weights_file
from optrack.datasets.folders.folder_files import TEST_LIST
from optrack.search.cli import main
from optrack.search.new_study import speed
from optrack.search.study.lookup import load_study
from optrack.sources.torchvision_compat import models

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., None]

assert main  # imported here, so that the first test is not the slow one


@pytest.fixture(autouse=True)
def short_and_offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty cache of weights, no network, and a measurement of a moment."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(cache))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(speed, "SECONDS", 0.01)


@pytest.fixture
def write(folder: Path) -> Write:
    """Write pictures whose brightness tells their class: `write({"ants": 5})`, in photos/."""

    def images(counts: dict[str, int], *, side: int = 16, pattern: str = "{:03}.png") -> None:
        generator = np.random.default_rng(0)
        for name, count in counts.items():
            (folder / "photos" / name).mkdir(parents=True, exist_ok=True)
            middle = 60 if name.endswith("ants") else 190
            for number in range(count):
                pixels = generator.integers(middle - 50, middle + 50, (side, side + 2, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / name / pattern.format(number))

    return images


def printed(answer: subprocess.CompletedProcess[str], command: str) -> list[str]:
    """The arguments of the command that was printed as one of the next."""
    lines = [shlex.split(line, comments=True) for line in answer.stderr.partition("Next:\n")[2].splitlines()]
    return next(words[1:] for words in lines if words[:2] == ["optrack", command])


def left(folder: Path) -> list[str]:
    """What is there but pictures."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.suffix in {".py", ".txt", ".tmp"})


@pytest.mark.slow
def test_the_printed_commands_lead_from_a_folder_to_a_prediction(
    folder: Path, write: Write, optrack: Run, empty_mlflow: Path
) -> None:
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    write({"train/ants": 20, "train/bees": 20, "val/ants": 10, "val/bees": 10})
    answer = optrack("new", "ants.py", "--images", "photos")
    assert answer.returncode == 0, answer.stderr
    assert left(folder) == ["ants.py", f"photos/{TEST_LIST}"]
    for step, more in (
        ("run", ["--trials", 2, "--epochs", 2, "--launcher", "inline"]),
        ("retrain", ["--seeds", 1, "--launcher", "inline"]),
        ("test", []),
        ("predict", []),
    ):
        command = [word for word in printed(answer, step) if not word.startswith(("--tracking-uri", "sqlite:"))]
        assert command[:2] == [step, "ants.py"]
        answer = optrack(*command, *more)
        assert answer.returncode == 0, answer.stderr
    # A listed image, and so one that no training has seen.
    name = Path(command[2])
    assert str(name.relative_to("photos")) in (folder / "photos" / TEST_LIST).read_text().splitlines()
    assert name.name in answer.stdout
    judged = json.loads(optrack("test", "ants.py", "--json").stdout)
    assert {score["family"] for score in judged["families"]} == {"small", "lenet"}


def test_what_is_found_and_written_is_said_in_tables_and_in_json(folder: Path, write: Write, optrack: Run) -> None:
    write({"ants": 30, "bees": 20}, side=20)
    answer = optrack("new", "first.py", "--images", "photos")
    assert "16x" not in answer.stdout
    for words in ("22x20", "coloured", "10, now listed in photos/optrack-test.txt", "small", "lenet", "16 x 16"):
        assert words in answer.stdout.replace("20 x 20", "16 x 16")
    second = json.loads(optrack("new", "second.py", "--images", "photos", "--json").stdout)
    assert second["images"]["parts"] == {
        "train": {"images": 30, "per_class": {"ants": 18, "bees": 12}},
        "validation": {"images": 10, "per_class": {"ants": 6, "bees": 4}},
        "test": {"images": 10, "per_class": {"ants": 6, "bees": 4}},
    }
    assert ["all", "classes", "30", "10", "10"] in [line.split() for line in answer.stdout.splitlines()]
    share = load_study("first.py").data.validation
    stats = json.loads(optrack("dataset", "stats", "image_folder:photos", "--validation", share, "--json").stdout)
    assert stats["splits"] == second["images"]["parts"]
    assert (second["test_list"], second["test_list_written"]) == ("photos/optrack-test.txt", False)
    assert [family["family"] for family in second["families"]] == ["small", "lenet"]
    assert second["estimate"]["run_seconds"] > 0
    assert left(folder) == ["first.py", f"photos/{TEST_LIST}", "second.py"]


def test_weights_that_are_missing_are_named_and_the_study_goes_without(
    folder: Path, write: Write, optrack: Run
) -> None:
    write({"ants": 10, "bees": 10}, side=70)
    answer = optrack("new", "ants.py", "--images", "photos")
    assert answer.returncode == 0
    assert (
        "note: the pretrained weights of mobilenet_v2 are missing: put mobilenet_v2-b0353104.pth into" in answer.stderr
    )
    assert [family.name for family in load_study("ants.py").families] == ["small", "lenet"]
    assert "mobilenet_v2-b0353104.pth" in (folder / "ants.py").read_text()


@pytest.mark.slow
def test_weights_that_are_there_give_transfer_families(folder: Path, write: Write, optrack: Run) -> None:
    file = weights_file(models.get_model_weights("mobilenet_v2").IMAGENET1K_V1.url)
    file.parent.mkdir()
    torch.save(models.get_model("mobilenet_v2", weights=None).state_dict(), file)
    write({"ants": 10, "bees": 10}, side=64)
    answer = optrack("new", "ants.py", "--images", "photos")
    assert (answer.returncode, "note:" in answer.stderr) == (0, False)
    study = load_study("ants.py")
    assert [family.name for family in study.families] == ["small", "mobilenet_frozen", "mobilenet_learned"]
    assert study.data.image_size == 128


def test_tracks_are_kept_together_and_that_is_said(folder: Path, write: Write, optrack: Run) -> None:
    for track in range(8):
        write({"ants": 3, "bees": 3}, pattern=f"{track:05}_{{:05}}.ppm")
    answer = optrack("new", "ants.py", "--images", "photos")
    assert r"^(.+)_\d+\.[^./]+$: 16, as the names suggest" in answer.stdout
    listed = [line for line in (folder / "photos" / TEST_LIST).read_text().splitlines() if line[0] != "#"]
    tracks = [line.rpartition("_")[0] for line in listed]
    assert {tracks.count(track) for track in tracks} == {3}
    assert load_study("ants.py").data.group_pattern == r"^(.+)_\d+\.[^./]+$"


def break_nothing(photos: Path) -> None:
    pass


def cut_off(photos: Path) -> None:
    (photos / "ants" / "003.png").write_bytes((photos / "ants" / "003.png").read_bytes()[:60])
    (photos / "bees" / "001.png").write_text("text")


def link_to_itself(photos: Path) -> None:
    (photos / "ants" / "loop.png").symlink_to("loop.png")


def list_a_stranger(photos: Path) -> None:
    (photos / TEST_LIST).write_text("ants/000.png\nbees/000.png\nbees/stranger.png\n")


def list_beside_a_folder(photos: Path) -> None:
    (photos / TEST_LIST).write_text("train/ants/000.png\ntrain/bees/000.png\n")


def make_an_empty_class(photos: Path) -> None:
    (photos / "wasps").mkdir()
    (photos / "wasps" / "notes.txt").write_text("")


BROKEN = [
    pytest.param({"ants": 9}, break_nothing, ["at least two class folders", "'ants'", "of its own"], id="one class"),
    pytest.param(
        {"ants": 9, "bees": 9}, make_an_empty_class, ["without an image", "'wasps'", "remove the"], id="an empty class"
    ),
    pytest.param(
        {"ants": 1, "bees": 1}, break_nothing, ["at least 5 images", "'ants' has 1", "add images"], id="two images"
    ),
    pytest.param(
        {"ants": 9, "bees": 9},
        cut_off,
        ["2 of 18 images", "ants/003.png", "bees/001.png (not JPEG, ", "remove or replace"],
        id="unreadable files",
    ),
    pytest.param(
        {"train/ants": 9, "train/bees": 9, "val/ants": 9},
        break_nothing,
        ["same classes", "'bees' is missing in val", "put images of it there"],
        id="a class in one part alone",
    ),
    pytest.param(
        {"ants": 9, "bees": 9}, link_to_itself, ["ants/loop.png (Too many", "remove them"], id="a looping link"
    ),
    pytest.param(
        {"train": 9}, break_nothing, ["no class folders", "photos/train'/CLASS/*"], id="images without classes"
    ),
    pytest.param({"Train/ants": 9, "Train/bees": 9}, break_nothing, ["Train", "are called train"], id="other names"),
    pytest.param({"ants": 9, "bees": 9}, list_a_stranger, ["bees/stranger.png (not there)", "put"], id="a false list"),
    pytest.param(
        {f"{part}/{name}": 9 for part in ("train", "test") for name in ("ants", "bees")},
        list_beside_a_folder,
        ["both a folder test and a list", "remove the list"],
        id="a list and a folder",
    ),
]


def is_refused(answer: subprocess.CompletedProcess[str], words: list[str]) -> None:
    assert answer.returncode == 2, answer.stderr
    assert answer.stdout == ""
    assert answer.stderr.startswith("optrack: error: ")
    assert answer.stderr.count("\n") == 1
    for word in words:
        assert word in answer.stderr


@pytest.mark.parametrize(("counts", "change", "words"), BROKEN)
def test_a_broken_folder_is_one_line_that_says_what_to_do(
    counts: dict[str, int], change: Callable[[Path], None], words: list[str], folder: Path, write: Write, optrack: Run
) -> None:
    write(counts)
    change(folder / "photos")
    before = left(folder)
    is_refused(optrack("new", "ants.py", "--images", "photos"), words)
    assert left(folder) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("new ants.py", ["--images"]),
        ("new --images photos", ["FILE"]),
        ("new ants.py --images nowhere", ["there is no folder 'nowhere'"]),
        ("new ants.py --images there.py", ["'there.py' is not a folder"]),
        ("new ants.py --images ~nobody-has-this-name/photos", ["cannot be expanded"]),
        ("new there.py --images photos", ["'there.py' is there already", "give another name"]),
        ("new ants.txt --images photos", ["must end with .py", "'ants.txt'"]),
        ("new nowhere/ants.py --images photos", ["there is no folder nowhere"]),
        ("new digits.py --images photos", ["'digits' is the name of a study that comes with optrack"]),
        ("new ants.py --images photos --groups (", ["group pattern", "regular expression"]),
        ("new ants.py --images photos --groups ^(ants)", ["must match every file name", "bees/000.png"]),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    arguments: str, words: list[str], folder: Path, write: Write, optrack: Run
) -> None:
    write({"ants": 9, "bees": 9})
    (folder / "there.py").write_text("mine")
    is_refused(optrack(*arguments.split()), words)
    assert left(folder) == ["there.py"]
    assert (folder / "there.py").read_text() == "mine"


def test_a_folder_that_links_to_itself_is_entered_once(folder: Path, write: Write, optrack: Run) -> None:
    write({"ants": 9, "bees": 9})
    (folder / "photos" / "ants" / "again").symlink_to(folder / "photos" / "ants")
    answer = json.loads(optrack("new", "ants.py", "--images", "photos", "--json").stdout)
    assert sum(part["images"] for part in answer["images"]["parts"].values()) == 18


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_images_that_may_not_be_written_beside_are_said(folder: Path, write: Write, optrack: Run) -> None:
    write({"ants": 9, "bees": 9})
    (folder / "photos").chmod(0o555)
    is_refused(optrack("new", "ants.py", "--images", "photos"), [TEST_LIST, "Permission denied"])
    assert left(folder) == []
