from collections.abc import Callable
from pathlib import Path

import pytest

from optrack.datasets import DataError, DataRequest, locate, open_prepared, prepare
from optrack.datasets.prepared.sealed import open_test


def test_it_is_read_like_fashion_mnist_with_its_own_names(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    write_fashion(tmp_path, folder="MNIST", test=True)
    assert locate("mnist", tmp_path) == tmp_path / "MNIST" / "raw"
    assert locate("fashion_mnist", tmp_path) is None
    prepared = prepare(
        DataRequest(
            "mnist", image_size=None, validation=0.5, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
        )
    )
    assert prepared.classes == tuple("0123456789")
    raw = (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()
    assert open_prepared(prepared).images.tobytes() == raw[16:]
    test = open_test(DataRequest("mnist", image_size=None, data_dir=tmp_path, cache_dir=tmp_path / "cache"))
    assert test.images.tobytes() == (tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]


def test_missing_data_is_said_with_both_layouts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MNIST/raw/train-images-idx3-ubyte.*mnist/train'/CLASS.*prepare mnist --down"):
        prepare(DataRequest("mnist", image_size=8, validation=0.1, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path))
