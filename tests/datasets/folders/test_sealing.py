from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from optrack.datasets import DataError, DataRequest, prepare
from optrack.datasets.folders.sealing import search_parts, split_off_test
from optrack.datasets.folders.test_list import write_test_list
from optrack.datasets.prepared.sealed import open_test
from optrack.datasets.store.groups import groups_of

Write = Callable[..., Path]
TRACKS = r"^(.+)_\d+\."


@pytest.fixture
def write_names(tmp_path: Path) -> Callable[[list[str]], Path]:
    """Files of which names alone count."""

    def write(names: list[str]) -> Path:
        for name in names:
            (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / name).write_bytes(b"")
        return tmp_path / "set"

    return write


WriteNames = Callable[[list[str]], Path]


def _names(counts: dict[str, int]) -> list[str]:
    return [f"{folder}/{number:03}.png" for folder, count in counts.items() for number in range(count)]


@pytest.mark.parametrize(
    ("counts", "taken"),
    [
        ({"ant": 10, "bee": 25}, {"ant": 2, "bee": 5}),
        ({"train/ant": 10, "train/bee": 25}, {"train/ant": 2, "train/bee": 5}),
        (
            {"train/ant": 50, "train/bee": 100, "val/ant": 25, "val/bee": 10},
            {"train/ant": 10, "train/bee": 20, "val/ant": 5, "val/bee": 2},
        ),
    ],
)
def test_a_fifth_is_taken_of_every_class_and_of_train_and_val_alike(
    write_names: WriteNames, counts: dict[str, int], taken: dict[str, int]
) -> None:
    paths = split_off_test(write_names(_names(counts)))
    assert Counter(path.rpartition("/")[0] for path in paths) == taken
    assert list(paths) == sorted(set(paths))
    assert split_off_test(write_names(_names(counts))) == paths


def test_a_val_with_an_image_of_a_class_keeps_it_where_that_can_be(write_names: WriteNames) -> None:
    folder = write_names(_names({"train/ant": 50, "train/bee": 50, "val/ant": 1, "val/bee": 1}))
    paths = split_off_test(folder)
    assert len(paths) == 21
    parts = search_parts(folder, paths, validation=0.2)
    assert parts == {"train": {"ant": 40, "bee": 39}, "validation": {"ant": 1, "bee": 1}}


def test_groups_are_taken_whole(write_names: WriteNames) -> None:
    names = [f"{name}/{track}_{frame}.png" for name in ("ant", "bee") for track in range(10) for frame in range(4)]
    paths = set(split_off_test(write_names(names), TRACKS))
    assert Counter(path.partition("/")[0] for path in paths) == {"ant": 8, "bee": 8}
    groups = groups_of(names, TRACKS).tolist()
    assert len({group for group, name in zip(groups, names, strict=True) if name in paths}) == 4


def test_a_group_may_not_be_in_train_and_val(write_names: WriteNames) -> None:
    names = [f"{part}/{name}/{t}_{f}.png" for part in ("train", "val") for name in "ab" for t in range(9) for f in "12"]
    with pytest.raises(DataError, match="no group may have images in both train and the validation part, but 18 have"):
        split_off_test(write_names(names), TRACKS)


@pytest.mark.parametrize("counts", [{"ant": 1, "bee": 1}, {"train/ant": 2, "train/bee": 9, "val/ant": 2, "val/bee": 2}])
def test_too_few_images_of_a_class_are_named(write_names: WriteNames, counts: dict[str, int]) -> None:
    with pytest.raises(
        DataError, match=r"must have at least 5 images, .* but 'ant' has \d.*: add images of it, or rem"
    ):
        split_off_test(write_names(_names(counts)))


def test_five_images_of_a_class_are_enough(write_names: WriteNames) -> None:
    for counts in ({"ant": 5, "bee": 5}, {"ant": 5, "bee": 500, "cat": 37}):
        folder = write_names(_names(counts))
        search_parts(folder, split_off_test(folder), validation=0.25)


def test_what_is_checked_from_names_is_what_preparing_will_do(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(
        tmp_path / "set", {"train/ant": 20, "train/bee": 20, "val/ant": 10, "val/bee": 10}, size=(4, 4)
    )
    paths = split_off_test(folder)
    search_parts(folder, paths, validation=0.2)
    write_test_list(folder, paths)
    search_parts(folder, None, validation=0.2)
    prepared = prepare(
        DataRequest(
            f"image_folder:{folder}",
            image_size=None,
            validation=0.2,
            split_seed=0,
            data_dir=tmp_path,
            cache_dir=tmp_path / "cache",
        )
    )
    test = open_test(
        DataRequest(f"image_folder:{folder}", image_size=None, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    )
    assert (prepared.train_images, prepared.validation_images, len(test.images)) == (32, 16, 12)


@pytest.mark.parametrize(
    ("paths", "validation", "pattern", "message"),
    [
        (["ant/000.png"], 0.5, None, "has no image of 'bee'"),
        (["ant/000.png", "bee/000.png"], 0.01, None, "every class must have images on both sides"),
        (["ant/000.png", "bee/000.png"], 0.5, r"(\d)", "no group may have images both on the list"),
        (["ant/000.png", "bee/000.png"], 0.5, r"^(ant)", "must match every file name"),
        (["ant/000.png", "bee/000.png"], 0.5, "(", "must be a regular expression"),
    ],
)
def test_what_preparing_would_refuse_is_refused(
    write_names: WriteNames, paths: list[str], validation: float, pattern: str | None, message: str
) -> None:
    folder = write_names(_names({"ant": 9, "bee": 9}))
    with pytest.raises(DataError, match=message):
        search_parts(folder, paths, validation=validation, group_pattern=pattern)
