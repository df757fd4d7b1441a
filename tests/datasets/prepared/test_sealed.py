import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optrack.datasets
from optrack.datasets import DataError, DataRequest, NoTestPartError, Progress, open_prepared, prepare
from optrack.datasets.named.digits import read_all
from optrack.datasets.prepared.sealed import TestData, open_test

Write = Callable[..., Path]
ROOM = Path(next(iter(optrack.datasets.__path__)))


def _open(name: str, folder: Path, progress: Progress | None = None, **changes: Any) -> TestData:
    arguments: dict[str, Any] = {"image_size": None, "data_dir": folder, "cache_dir": folder / "cache"}
    return open_test(DataRequest(name, **(arguments | changes)), progress)


def test_statistics_alone_imports_the_sealed_part_and_that_alone_asks_for_test_files() -> None:
    importing: set[str] = set()
    asking: set[str] = set()
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and "sealed" in (
                node.module or "",
                *(name.name for name in node.names),
            ):
                importing.add(file.name)
            if isinstance(node, ast.Attribute) and node.attr == "find_test":
                asking.add(file.name)
    # Somebody's own data set may be an image folder, to which it hands the question on.
    assert (importing, asking) == ({"statistics.py"}, {"sealed.py", "own.py"})


def test_the_withheld_fifth_of_the_digits_is_what_a_search_does_not_see(tmp_path: Path) -> None:
    test = _open("digits", tmp_path)
    seen = open_prepared(
        prepare(
            DataRequest(
                "digits", image_size=None, validation=0.2, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
            )
        )
    )
    everything = read_all()
    assert len(test.images) + len(seen.images) == len(everything.images) == 1797
    both = np.concatenate([seen.images, test.images]).reshape(1797, -1)
    assert np.array_equal(np.sort(both, axis=0), np.sort(everything.images.reshape(1797, -1), axis=0))
    assert np.bincount(test.labels).min() >= 34
    assert (test.classes, test.images.flags.writeable, test.labels.flags.writeable) == (seen.classes, False, False)
    assert test.digest != seen.digest


def test_the_withheld_fifth_of_own_images_is_what_a_search_does_not_see(tmp_path: Path, write_images: Write) -> None:
    name = f"image_folder:{write_images(tmp_path / 'set', {'ant': 10, 'bee': 20}, size=(8, 8))}"
    test = _open(name, tmp_path)
    data = open_prepared(
        prepare(
            DataRequest(
                name, image_size=None, validation=0.5, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
            )
        )
    )
    assert np.bincount(test.labels).tolist() == [2, 4]
    assert not {image.tobytes() for image in test.images} & {image.tobytes() for image in data.images}


def test_the_withheld_fifth_divides_no_group(tmp_path: Path, write_images: Write) -> None:
    for folder in ("ant", "bee"):
        for track in range(10):
            write_images(tmp_path / "set" / folder, {f"{track}": 3})
    name, pattern = f"image_folder:{tmp_path / 'set'}", r"^\w+/\d+/"
    test = _open(name, tmp_path, group_pattern=pattern)
    prepared = prepare(
        DataRequest(
            name,
            image_size=None,
            validation=0.25,
            split_seed=0,
            data_dir=tmp_path,
            cache_dir=tmp_path / "cache",
            group_pattern=pattern,
        )
    )
    assert len(test.images) == 2 * 2 * 3
    assert test.groups is not None
    assert np.unique(test.groups, return_counts=True)[1].tolist() == [3, 3, 3, 3]
    assert _open(name, tmp_path).groups is None
    data = open_prepared(prepared)
    assert data.groups is not None
    assert [len(set(data.groups[part].tolist())) for part in (data.train, data.validation)] == [12, 4]


def test_the_other_parts_decide_about_colour(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 3, "train/bee": 3})
    write_images(folder, {"test/ant": 2, "test/bee": 2}, mode="L")
    assert _open(f"image_folder:{folder}", tmp_path, image_size=8).images.shape == (4, 3, 8, 8)
    write_images(folder, {"train/ant": 3, "train/bee": 3}, mode="L")
    assert _open(f"image_folder:{folder}", tmp_path, image_size=8).images.shape == (4, 1, 8, 8)


def test_it_is_decoded_once(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {f"{part}/{name}": 3 for part in ("train", "test") for name in "ab"})
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    for _ in range(2):
        test = _open(f"image_folder:{folder}", tmp_path, progress=progress)
        assert len(test.images) == 6
    assert calls == [(6, 6)]


def test_a_data_set_without_a_test_part_says_so(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 3, "train/bee": 3})
    with pytest.raises(NoTestPartError, match=r"has no test part: it would be looked for in .*set/test'"):
        _open(f"image_folder:{folder}", tmp_path)


def test_a_test_part_with_other_classes_is_refused(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 3, "train/bee": 3, "test/ant": 1, "test/cat": 1})
    with pytest.raises(DataError, match=r"train and test of .* 'bee' is missing in test, 'cat' is missing in train"):
        _open(f"image_folder:{folder}", tmp_path)


def test_a_data_set_that_is_not_there_has_no_test_part_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stl10 is not in") as caught:
        _open("stl10", tmp_path)
    assert not isinstance(caught.value, NoTestPartError)
