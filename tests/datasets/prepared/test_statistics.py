import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optrack.datasets import DataRequest, DatasetStatistics, dataset_statistics, open_prepared, prepare

Write = Callable[..., Path]


def _statistics(name: str, folder: Path, **changes: Any) -> DatasetStatistics:
    arguments: dict[str, Any] = {"image_size": None, "validation": 0.5, "split_seed": 0}
    arguments |= {"data_dir": folder, "cache_dir": folder / "cache"}
    return dataset_statistics(DataRequest(name, **(arguments | changes)))


def test_every_image_is_counted_once(tmp_path: Path, write_gtsrb: Write) -> None:
    statistics = _statistics("gtsrb", write_gtsrb(tmp_path), image_size=8, validation=0.25)
    counts = {name: part and part.images for name, part in statistics.splits.items()}
    assert counts == {"train": 43 * 6, "validation": 43 * 2, "test": 43}
    for part in statistics.splits.values():
        assert part is not None
        assert list(part.per_class) == list(statistics.classes)
        assert sum(part.per_class.values()) == part.images
    assert statistics.groups is not None
    assert (statistics.groups.train, statistics.groups.validation, statistics.groups.shared) == (129, 43, 0)
    assert statistics.original_sizes["smallest"] == (5, 5)
    assert statistics.original_sizes["largest"] == (8, 8)


def test_mean_and_deviation_are_the_searchs_own(tmp_path: Path) -> None:
    statistics = _statistics("digits", tmp_path, validation=0.2)
    prepared = prepare(
        DataRequest(
            "digits", image_size=None, validation=0.2, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
        )
    )
    data = open_prepared(prepared)
    assert (statistics.mean, statistics.std) == (data.mean, data.std)
    assert (statistics.digest, statistics.split_digest) == (data.digest, data.split_digest)
    assert (statistics.layout, statistics.groups) == ("embedded", None)


def test_exact_duplicates_between_parts_are_counted(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(
        tmp_path / "set", {f"{part}/{name}": 3 for part in ("train", "val", "test") for name in ("ant", "bee")}
    )
    # The writer writes the same images into every part; all of them are made different first.
    generator = iter(range(1, 100))
    for file in sorted(folder.rglob("*.png")):
        _repaint(file, next(generator))
    shutil.copy(folder / "train/ant/000.png", folder / "val/bee/000.png")
    shutil.copy(folder / "train/ant/000.png", folder / "test/bee/000.png")
    shutil.copy(folder / "val/ant/001.png", folder / "test/bee/001.png")
    shutil.copy(folder / "train/ant/001.png", folder / "train/ant/002.png")
    statistics = _statistics(f"image_folder:{folder}", tmp_path)
    assert statistics.duplicates_between == {"train_validation": 1, "train_test": 1, "validation_test": 2}
    assert statistics.duplicates == 3


def _repaint(file: Path, value: int) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4), (value, 0, 0)).save(file)


def test_a_test_part_that_is_not_there_is_none(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    statistics = _statistics(f"image_folder:{folder}", tmp_path)
    assert statistics.splits["test"] is None
    assert set(statistics.duplicates_between) == {"train_validation"}


def test_a_group_pattern_is_heeded(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 12, "train/bee": 12})
    statistics = _statistics(f"image_folder:{folder}", tmp_path, group_pattern=r"^(\w+/\d\d)\d")
    assert statistics.groups is not None
    assert (statistics.groups.train, statistics.groups.validation, statistics.groups.shared) == (2, 2, 0)


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "must be a regular expression"), ("x", "finds no key in 8 of 8")]
)
def test_a_bad_group_pattern_is_refused(tmp_path: Path, write_images: Write, pattern: str, message: str) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    with pytest.raises(ValueError, match=message):
        _statistics(f"image_folder:{folder}", tmp_path, group_pattern=pattern)


def test_parts_of_ones_own_that_share_a_group_are_refused(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(
        tmp_path / "set", {f"{part}/{name}": 3 for part in ("train", "val") for name in ("ant", "bee")}
    )
    with pytest.raises(ValueError, match="no group may have images in both train and the validation part, but 6 have"):
        _statistics(f"image_folder:{folder}", tmp_path, group_pattern=".*")
