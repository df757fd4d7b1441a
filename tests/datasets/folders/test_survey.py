import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from optrack.datasets import DataError
from optrack.datasets.folders import survey
from optrack.datasets.folders.folder_files import TEST_LIST
from optrack.datasets.folders.sealing import split_off_test
from optrack.datasets.folders.survey import survey_folder
from optrack.datasets.folders.test_list import write_test_list

Write = Callable[..., Path]


def test_a_folder_is_counted_and_measured(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 6, "train/bee": 3, "val/ant": 1, "val/bee": 2}, size=(20, 10))
    write_images(folder, {"train/ant": 2}, size=(40, 30))
    found = survey_folder(folder)
    assert found.parts == {"train": {"ant": 6, "bee": 3}, "validation": {"ant": 1, "bee": 2}}
    assert (found.classes, found.has_parts, found.sealed) == (("ant", "bee"), True, None)
    assert (found.smallest, found.median, found.largest, found.short_side) == ((10, 20), (10, 20), (30, 40), 10)
    assert (found.looked_at, found.images(), found.images("train"), found.images("test")) == (12, 12, 9, 0)
    assert (found.grey, found.groups) == (False, None)


def test_grey_images_and_groups_are_seen(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for index in range(30):
            Image.new("L", (9, 8)).save(tmp_path / name / f"{index // 3}_{index % 3}.png")
    found = survey_folder(tmp_path)
    assert found.grey
    assert not found.has_parts
    assert found.groups is not None
    assert (found.groups.groups, found.groups.example) == (20, ("ant/0_0.png", "ant/0_1.png"))


@pytest.mark.parametrize("kind", ["folder", "list"])
def test_test_images_are_counted_and_not_opened(tmp_path: Path, write_images: Write, kind: str) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 6, "train/bee": 6})
    listed = ["train/ant/000.png", "train/bee/000.png"]
    if kind == "folder":
        listed = ["test/ant/000.png", "test/bee/000.png"]
        write_images(folder, {"test/ant": 1, "test/bee": 1})
    else:
        write_test_list(folder, listed)
    for path in listed:
        (folder / path).write_text("broken")
    found = survey_folder(folder)
    assert found.sealed == kind
    assert found.parts["test"] == {"ant": 1, "bee": 1}
    assert found.looked_at == found.images("train") == (12 if kind == "folder" else 10)


@pytest.mark.parametrize(
    "counts", [{"ant": 10, "bee": 20}, {"train/ant": 10, "train/bee": 20, "val/ant": 10, "val/bee": 5}]
)
def test_once_images_are_listed_a_second_look_finds_what_was_foretold(
    tmp_path: Path, write_images: Write, counts: dict[str, int]
) -> None:
    folder = write_images(tmp_path / "set", counts)
    first = survey_folder(folder)
    paths = split_off_test(folder)
    foretold = first.with_test(paths)
    write_test_list(folder, paths)
    second = survey_folder(folder)
    assert (foretold.parts, foretold.sealed, foretold.images()) == (second.parts, "list", first.images())


def test_of_many_images_some_are_looked_at_always_the_same(
    tmp_path: Path, write_images: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path / "set", {"ant": 20, "bee": 20})
    monkeypatch.setattr(survey, "_LOOKED_AT", 7)
    found = survey_folder(folder)
    assert (found.looked_at, found.images()) == (7, 40)
    assert survey_folder(folder) == found
    for file in folder.rglob("*.png"):
        file.write_text("broken")
    with pytest.raises(DataError, match=r"7 of the 7 images looked at, of 40, in .*; remove or replace them"):
        survey_folder(folder)


def test_broken_images_are_named_also_those_that_end_too_soon(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4}, suffix=".jpg", size=(64, 64))
    (folder / "train" / "ant" / "001.jpg").write_text("text")
    whole = (folder / "train" / "bee" / "000.jpg").read_bytes()
    (folder / "train" / "bee" / "000.jpg").write_bytes(whole[: len(whole) // 2])
    message = (
        r"2 of 8 images in .*set. cannot be read: train/ant/001.jpg \(not JPEG, .*\), train/bee/000.jpg \(.*trunc.*\);"
        r" remove or replace them"
    )
    with pytest.raises(DataError, match=message):
        survey_folder(folder)


def test_large_files_are_not_all_decoded(tmp_path: Path, write_images: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_images(tmp_path / "set", {"ant": 5, "bee": 5})
    whole = (folder / "bee" / "004.png").read_bytes()
    (folder / "bee" / "004.png").write_bytes(whole[:-40])
    monkeypatch.setattr(survey, "_DECODED_BYTES", 9 * len(whole))
    assert survey_folder(folder).looked_at == 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_links_that_lead_nowhere_and_pipes_are_named(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"ant": 5, "bee": 5})
    (folder / "ant" / "loop.png").symlink_to("loop.png")
    (folder / "ant" / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "bee" / "pipe.png")
    message = (
        r"3 of 13 files in .* cannot be read: ant/gone.png \(.*\), ant/loop.png \(.*\), bee/pipe.png \(not a file\)"
    )
    with pytest.raises(DataError, match=message + "; remove them"):
        survey_folder(folder)


def test_a_folder_that_links_to_itself_is_entered_once(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"ant": 5, "bee": 5})
    (folder / "ant" / "again").symlink_to(folder / "ant")
    assert survey_folder(folder).images() == 10


def test_a_list_beside_a_test_folder_is_refused(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {f"{part}/{name}": 2 for part in ("train", "test") for name in "ab"})
    write_test_list(folder, ["train/a/000.png", "train/b/000.png"])
    with pytest.raises(DataError, match=f"both a folder test and a list of test images, {TEST_LIST}"):
        survey_folder(folder)


def test_a_test_folder_with_other_classes_is_refused(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/a": 2, "train/b": 2, "test/a": 2})
    with pytest.raises(DataError, match="'b' is missing in test; put images of it there, or take it out of the other"):
        survey_folder(folder)
