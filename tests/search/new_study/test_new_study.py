from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optrack.datasets import DataError
from optrack.datasets.folders.folder_files import TEST_LIST
from optrack.datasets.folders.survey import survey_folder
from optrack.datasets.folders.test_list import read_test_list, write_test_list
from optrack.search import StudyError
from optrack.search.new_study import speed
from optrack.search.new_study.new_study import Findings, NewStudy, Target, check_target, look, plan_study, write_study
from optrack.search.study.lookup import load_study

WriteNames = Callable[..., Path]


@pytest.fixture
def write_names(tmp_path: Path) -> WriteNames:
    """Small images, all the same but for their names: `write_names(["ants/1.png"])`."""

    def write(names: list[str]) -> Path:
        generator = np.random.default_rng(0)
        for name in names:
            file = tmp_path / "photos" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (18, 20, 3), dtype=np.uint8)).save(file)
        return tmp_path / "photos"

    return write


def numbered(*folders: str, count: int = 10) -> list[str]:
    return [f"{folder}/{number}.png" for folder in folders for number in range(count)]


def tracks(*folders: str, count: int = 10) -> list[str]:
    return [f"{folder}/{track}_{frame}.png" for folder in folders for track in range(count) for frame in range(3)]


@pytest.mark.parametrize(
    ("name", "study"),
    [("ants.py", "ants"), ("my ants.py", "my_ants"), ("a.b.py", "a.b"), ("ä ö.py", ""), ("x" * 90 + ".py", "x" * 64)],
)
def test_a_study_is_called_as_its_file_as_far_as_names_allow(name: str, study: str) -> None:
    assert Target(file=Path("folder", name), images=Path("photos")).study == study


def test_the_next_command_is_typed_as_it_is() -> None:
    assert Target(file=Path("my ants.py"), images=Path("photos")).run_command == "optrack run 'my ants.py'"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ants", "must end with .py, but got"),
        ("ants.txt", "must end with .py"),
        ("there.py", "is there already, and nothing is written over it: give another name"),
        ("link.py", "is there already"),
        ("nowhere/ants.py", r"nowhere/ants.py cannot be written: there is no folder .*nowhere$"),
        ("äö.py", "must have a letter or digit before .py"),
        ("digits.py", "'digits' is the name of a study that comes with optrack"),
    ],
)
def test_a_file_that_cannot_be_a_new_study_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there.py").write_text("mine")
    (tmp_path / "link.py").symlink_to("gone.py")
    with pytest.raises(StudyError, match=message):
        check_target(Target(file=tmp_path / name, images=Path("photos")))


def test_a_folder_without_test_images_gets_some_named_and_nothing_is_written(write_names: WriteNames) -> None:
    folder = write_names(numbered("train/ants", "train/bees", "val/ants", "val/bees"))
    before = sorted(folder.rglob("*"))
    findings = look(folder, None)
    assert (len(findings.to_list or ()), findings.group_pattern, findings.doubts) == (8, None, ())
    assert findings.survey.images("train", "validation") == 32
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("kind", ["folder", "list"])
def test_test_images_that_are_there_are_kept(write_names: WriteNames, kind: str) -> None:
    folder = write_names(
        numbered("train/ants", "train/bees") + (numbered("test/ants", "test/bees") if kind == "folder" else [])
    )
    if kind == "list":
        write_test_list(folder, ["train/ants/1.png", "train/bees/2.png"])
    findings = look(folder, None)
    assert (findings.to_list, findings.survey.sealed) == (None, kind)


def test_groups_that_names_suggest_are_kept_whole(write_names: WriteNames) -> None:
    findings = look(write_names(tracks("ants", "bees")), None)
    assert findings.group_pattern == r"^(.+)_\d+\.[^./]+$"
    assert findings.to_list is not None
    keys = [path.rpartition("_")[0] for path in findings.to_list]
    assert {keys.count(key) for key in keys} == {3}


def test_a_pattern_that_is_given_counts_and_not_what_the_names_suggest(write_names: WriteNames) -> None:
    folder = write_names(tracks("ants", "bees"))
    assert look(folder, r"^(.+)\.").group_pattern == r"^(.+)\."
    with pytest.raises(DataError, match="must be a regular expression"):
        look(folder, "(")
    with pytest.raises(DataError, match="finds no key in 30 of 60"):
        look(folder, "^(ants.+)_")


@pytest.mark.parametrize("why", ["both parts", "the list"])
def test_suggested_groups_that_are_divided_already_are_doubted_and_dropped(write_names: WriteNames, why: str) -> None:
    if why == "both parts":
        folder = write_names(tracks("train/ants", "train/bees", "val/ants", "val/bees"))
    else:
        folder = write_names(tracks("ants", "bees"))
        write_test_list(folder, ["ants/0_0.png", "bees/0_0.png"])
    findings = look(folder, None)
    assert findings.group_pattern is None
    [doubt] = findings.doubts
    assert doubt.startswith("the names suggest groups (frames")
    assert "no group may have images" in doubt


@pytest.fixture
def planned(
    write_names: WriteNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[NewStudy, Findings, Target]:
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    target = Target(file=tmp_path / "ants.py", images=write_names(tracks("ants", "bees")))
    findings = look(target.images, None)
    return plan_study(findings, target), findings, target


def test_what_is_planned_is_what_is_written_and_a_list_beside_the_images(
    planned: tuple[NewStudy, Findings, Target],
) -> None:
    new, findings, target = planned
    write_study(new, findings, target)
    study = load_study(str(target.file))
    assert study == new.study
    assert (study.name, study.data.image_size, study.data.group_pattern) == ("ants", 16, findings.group_pattern)
    assert [family.name for family in study.families] == ["small", "lenet"]
    assert study.budget.trials == new.estimate.trials
    assert new.missing is None
    assert read_test_list(target.images) == findings.to_list
    assert survey_folder(target.images).parts == findings.survey.parts


@pytest.mark.parametrize("late", ["the study", "the list"])
def test_both_files_are_written_or_none(planned: tuple[NewStudy, Findings, Target], late: str) -> None:
    new, findings, target = planned
    file = target.file if late == "the study" else target.images / TEST_LIST
    file.write_text("somebody else was faster")
    with pytest.raises(DataError, match="is there already"):
        write_study(new, findings, target)
    assert file.read_text() == "somebody else was faster"
    assert target.file.exists() == (late == "the study")
    assert (target.images / TEST_LIST).exists() == (late == "the list")
