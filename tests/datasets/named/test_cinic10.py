from collections.abc import Callable
from pathlib import Path

import pytest

from optrack.datasets import DataError, DataRequest, download, open_prepared, prepare

Write = Callable[..., Path]


def test_its_own_validation_part_is_used_as_it_is(tmp_path: Path, write_images: Write) -> None:
    counts = {f"{part}/{name}": count for part, count in (("train", 4), ("valid", 3)) for name in ("cat", "dog")}
    write_images(tmp_path / "cinic10", counts, size=(32, 32))
    prepared = prepare(
        DataRequest(
            "cinic10", image_size=None, validation=0.01, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
        )
    )
    assert (prepared.layout, prepared.input_shape) == ("class folders", (3, 32, 32))
    assert open_prepared(prepared).validation.tolist() == [8, 9, 10, 11, 12, 13]


def test_a_class_that_is_missing_in_valid_is_named(tmp_path: Path, write_images: Write) -> None:
    write_images(tmp_path / "cinic10", {"train/cat": 2, "train/dog": 2, "valid/cat": 2})
    with pytest.raises(DataError, match="must have the same classes: 'dog' is missing in valid"):
        prepare(
            DataRequest("cinic10", image_size=8, validation=0.1, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path)
        )


def test_where_to_get_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"get CINIC-10.tar.gz at https://datashare.ed.ac.uk/.* unpack it in .*cinic10'$"
    ):
        download("cinic10", tmp_path)
