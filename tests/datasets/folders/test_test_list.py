import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from optrack.datasets import DataError, DataRequest, NoTestPartError, Prepared, open_prepared, prepare
from optrack.datasets.folders.folder_files import TEST_LIST
from optrack.datasets.folders.test_list import listed_images, read_test_list, write_test_list
from optrack.datasets.prepared.sealed import TestData, open_test

hypothesis.settings.register_profile("optrack", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("optrack")

Write = Callable[..., Path]

IN_PARTS = {"train/ant": 4, "train/bee": 4, "val/ant": 3, "val/bee": 3}
LISTED_IN_PARTS = ("train/ant/001.png", "train/bee/000.png", "val/ant/002.png")
DIRECT = {"ant": 6, "bee": 6}
LISTED_DIRECT = ("ant/001.png", "bee/000.png", "bee/005.png")


def _prepare(folder: Path, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": None, "validation": 0.5, "split_seed": 0}
    places = {"data_dir": folder.parent, "cache_dir": folder.parent / "cache"}
    return prepare(DataRequest(f"image_folder:{folder}", **places, **(arguments | changes)))


def _open(folder: Path, **changes: Any) -> TestData:
    arguments: dict[str, Any] = {"image_size": None, "data_dir": folder.parent, "cache_dir": folder.parent / "cache"}
    return open_test(DataRequest(f"image_folder:{folder}", **(arguments | changes)))


def _refused(folder: Path, message: str, **changes: Any) -> None:
    for ask in (_prepare, _open):
        with pytest.raises(DataError, match=message) as caught:
            ask(folder, **changes)
        assert not isinstance(caught.value, NoTestPartError)
        assert "\n" not in str(caught.value)
    assert not (folder.parent / "cache").exists()


@pytest.mark.parametrize(
    ("counts", "listed", "searched"),
    [
        (IN_PARTS, LISTED_IN_PARTS, (6, 5)),
        (DIRECT, LISTED_DIRECT, (4, 5)),
        ({"train/ant": 6, "train/bee": 6}, ("train/ant/003.png", "train/bee/001.png"), (5, 5)),
    ],
    ids=["parts", "class folders", "train alone"],
)
def test_listed_images_are_the_test_part_and_no_search_sees_them(
    tmp_path: Path, write_images: Write, counts: dict[str, int], listed: tuple[str, ...], searched: tuple[int, int]
) -> None:
    folder = write_images(tmp_path / "set", counts, size=(8, 8))
    write_test_list(folder, listed)
    prepared = _prepare(folder)
    assert (prepared.train_images, prepared.validation_images) == searched
    data, test = open_prepared(prepared), _open(folder)
    others = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png") if file.is_file())
    others = [path for path in others if path not in listed]
    assert [image.tobytes() for image in test.images] == [_decoded(folder / path) for path in listed]
    assert [image.tobytes() for image in data.images] == [_decoded(folder / path) for path in others]
    assert test.labels.tolist() == [int("bee" in path) for path in listed]
    assert data.labels.tolist() == [int("bee" in path) for path in others]
    assert test.classes == data.classes == ("ant", "bee")


def _decoded(file: Path) -> bytes:
    return np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1).tobytes()


@pytest.mark.parametrize(("counts", "listed"), [(IN_PARTS, LISTED_IN_PARTS), (DIRECT, LISTED_DIRECT)])
def test_listed_images_are_never_opened_for_a_search(
    tmp_path: Path, write_images: Write, counts: dict[str, int], listed: tuple[str, ...]
) -> None:
    folder = write_images(tmp_path / "set", counts)
    write_test_list(folder, listed)
    for path in listed:
        (folder / path).write_text("broken")
    assert _prepare(folder).train_images
    with pytest.raises(DataError, match=f"{len(listed)} of {len(listed)} images"):
        _open(folder)


def test_images_that_come_later_go_to_the_search(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", DIRECT, size=(8, 8))
    write_test_list(folder, LISTED_DIRECT)
    before = _open(folder).digest
    for number in (9, 10):
        (folder / "ant" / f"{number}.png").write_bytes((folder / "ant" / "000.png").read_bytes())
    prepared = _prepare(folder)
    assert prepared.train_images + prepared.validation_images == 11
    assert _open(folder).digest == before


def test_another_list_gives_other_images(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", DIRECT)
    digests: set[str] = set()
    for listed in ((), LISTED_DIRECT, ("ant/000.png", "bee/000.png", "bee/001.png")):
        (folder / TEST_LIST).unlink(missing_ok=True)
        if listed:
            write_test_list(folder, listed)
        digests.add(_prepare(folder).digest)
    assert len(digests) == 3


def test_lines_may_be_in_any_order_and_end_as_windows_ends_them(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", DIRECT)
    write_test_list(folder, LISTED_DIRECT)
    first = _prepare(folder).folder, _open(folder).digest
    (folder / TEST_LIST).write_bytes("\r\n".join(["# mine", "", *reversed(LISTED_DIRECT), ""]).encode())
    assert (_prepare(folder).folder, _open(folder).digest) == first


def test_a_folder_and_a_list_are_one_too_many(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {**IN_PARTS, "test/ant": 1, "test/bee": 1})
    write_test_list(folder, LISTED_IN_PARTS)
    _refused(folder, f"has both a folder test and a list of test images, {TEST_LIST}: remove the list to test on")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("train/ant/009.png", "not there"),
        ("ant/000.png", "not there"),
        ("train/ant/notes.txt", "no image of a class"),
        ("train/ant", "no image of a class"),
        ("../other/train/ant/000.png", "outside of the folder"),
        ("train/../train/ant/000.png", "outside of the folder"),
        ("/etc/passwd", "outside of the folder"),
    ],
)
def test_what_is_no_image_of_the_folder_is_named(tmp_path: Path, write_images: Write, line: str, reason: str) -> None:
    folder = write_images(tmp_path / "set", IN_PARTS)
    (folder / "train" / "ant" / "notes.txt").write_text("")
    write_test_list(folder, [*LISTED_IN_PARTS, line])
    _refused(folder, rf"names 1 that cannot be tested on: {line} \({reason}\); put them back, or remove their lines")


def test_an_image_that_stands_twice_is_named(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", DIRECT)
    write_test_list(folder, [*LISTED_DIRECT, "ant/001.png"])
    _refused(folder, "names ant/001.png twice: remove one of the lines")


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["train/ant/000.png"], r"has no image of 'bee': every class must be tested"),
        ([f"train/ant/{n:03}.png" for n in range(4)] + ["val/bee/000.png"], "takes all images of 'ant' from training"),
        (
            [f"val/bee/{n:03}.png" for n in range(3)] + ["train/ant/000.png"],
            "takes all images of 'bee' from validation",
        ),
    ],
)
def test_every_class_is_in_every_part(tmp_path: Path, write_images: Write, listed: list[str], message: str) -> None:
    folder = write_images(tmp_path / "set", IN_PARTS)
    write_test_list(folder, listed)
    _refused(folder, message)


def test_a_list_may_not_divide_a_group(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {f"{name}/{track}": 2 for name in ("ant", "bee") for track in range(4)})
    write_test_list(folder, ["ant/0/000.png", "bee/1/000.png", "bee/1/001.png"])
    pattern = r"^(\w+/\d+)/"
    message = (
        r"no group may have images both on the list of test images '.*optrack-test.txt' and beside it, but 1 has, for "
        r"example that of ant/0/000.png \(listed\) and ant/0/001.png: list all images of a group or none"
    )
    _refused(folder, message, group_pattern=pattern)
    (folder / TEST_LIST).unlink()
    write_test_list(folder, ["ant/0/000.png", "ant/0/001.png", "bee/1/000.png", "bee/1/001.png"])
    prepared = _prepare(folder, group_pattern=pattern)
    data = open_prepared(prepared)
    assert data.groups is not None
    assert [len(set(data.groups[part].tolist())) for part in (data.train, data.validation)] == [4, 2]
    assert len(_open(folder, group_pattern=pattern).images) == 4


def test_a_list_without_a_path_is_refused(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", DIRECT)
    (folder / TEST_LIST).write_text("# nothing\n\n")
    _refused(folder, "holds no path: remove it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_list_that_may_not_be_read_is_named(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", DIRECT)
    write_test_list(folder, LISTED_DIRECT)
    (folder / TEST_LIST).chmod(0)
    _refused(folder, "cannot be read: Permission denied")


def test_a_list_is_never_overwritten(tmp_path: Path) -> None:
    file = write_test_list(tmp_path, ["b/2.png", "a/1.png"])
    before = file.read_text()
    assert before.splitlines()[-2:] == ["a/1.png", "b/2.png"]
    assert all(line.startswith("# ") for line in before.splitlines()[:-2])
    with pytest.raises(DataError, match="is there already"):
        write_test_list(tmp_path, ["c/3.png"])
    assert file.read_text() == before


PATHS = st.text(st.characters(exclude_characters="\n\0/"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."} and not name.endswith("\r")
)


@given(st.lists(st.tuples(PATHS, PATHS).map("/".join), min_size=1, max_size=8, unique=True))
def test_whatever_files_are_called_they_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("list")
    known = [os.fsdecode(os.fsencode(path)) for path in paths if _encodable(path)]
    if known:
        write_test_list(folder, known)
        assert read_test_list(folder) == tuple(sorted(known))


def _encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("name", ["ant/a\nb.png", "ant/a.png\r"])
def test_a_name_that_fits_on_no_line_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"names of images must be on one line: rename 'ant/a"):
        write_test_list(tmp_path, [name])
    assert list(tmp_path.iterdir()) == []


def test_some_listed_images_are_named_as_they_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    assert listed_images("image_folder:photos", 3) == []
    write_test_list(Path("photos"), [f"{name}/{number}.png" for name in "ab" for number in range(4)])
    assert [str(path) for path in listed_images("image_folder:photos", 3)] == [
        "photos/a/0.png",
        "photos/a/3.png",
        "photos/b/3.png",
    ]
    assert len(listed_images("image_folder:photos", 99)) == 8
    assert listed_images("gtsrb", 3) == []
    assert listed_images("image_folder:~nobody-has-this-name/x", 3) == []
    Path("photos", TEST_LIST).write_text("")
    assert listed_images("image_folder:photos", 3) == []
