import gc
import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, Prepared, download, locate, open_prepared, prepare


def _prepare(data_dir: Path, cache_dir: Path, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": None, "validation": 0.25, "split_seed": 0}
    return prepare(DataRequest("fashion_mnist", data_dir=data_dir, cache_dir=cache_dir, **(arguments | changes)))


def test_the_training_files_alone_are_enough(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    data_dir = write_fashion(tmp_path / "data")
    prepared = _prepare(data_dir, tmp_path / "cache")
    assert (prepared.layout, prepared.input_shape) == ("torchvision", (1, 28, 28))
    assert (prepared.train_images, prepared.validation_images) == (45, 15)
    assert prepared.classes[0] == "T-shirt/top"
    data = open_prepared(prepared)
    raw = (data_dir / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()
    assert data.images.tobytes() == raw[16:]
    assert data.labels.tolist() == [index % 10 for index in range(60)]


def test_the_test_files_are_never_opened(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    data_dir = write_fashion(tmp_path / "data", test=True)
    first = _prepare(data_dir, tmp_path / "cache")
    for file in (data_dir / "FashionMNIST" / "raw").glob("t10k-*"):
        file.write_bytes(b"broken")
    assert _prepare(data_dir, tmp_path / "cache") == first
    assert _prepare(data_dir, tmp_path / "other").digest == first.digest


def test_packed_files_give_the_same_as_unpacked_ones(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    packed = _prepare(write_fashion(tmp_path / "packed", packed=True), tmp_path / "cache")
    unpacked = _prepare(write_fashion(tmp_path / "unpacked"), tmp_path / "cache")
    assert packed.digest == unpacked.digest
    assert packed.split_digest == unpacked.split_digest


def test_other_files_of_the_same_size_and_time_are_another_data_set(
    tmp_path: Path, write_fashion: Callable[..., Path]
) -> None:
    digests: set[str] = set()
    for seed in (0, 1):
        data_dir = write_fashion(tmp_path / str(seed), seed=seed)
        for file in (data_dir / "FashionMNIST" / "raw").iterdir():
            os.utime(file, (0, 0))
        digests.add(_prepare(data_dir, tmp_path / "cache").digest)
    assert len(digests) == 2


def test_images_are_resized(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    prepared = _prepare(write_fashion(tmp_path / "data"), tmp_path / "cache", image_size=32)
    assert open_prepared(prepared).images.shape == (60, 1, 32, 32)


def test_class_folders_are_the_other_layout(tmp_path: Path, write_images: Callable[..., Path]) -> None:
    counts = {"train/bag": 4, "train/coat": 4, "valid/bag": 2, "valid/coat": 3}
    write_images(tmp_path / "data" / "fashion_mnist", counts, mode="L", size=(28, 28))
    prepared = _prepare(tmp_path / "data", tmp_path / "cache")
    assert (prepared.layout, prepared.classes, prepared.input_shape) == ("class folders", ("bag", "coat"), (1, 28, 28))
    assert (prepared.train_images, prepared.validation_images) == (8, 5)
    assert locate("fashion_mnist", tmp_path / "data") == tmp_path / "data" / "fashion_mnist"


def test_missing_data_is_said_with_both_layouts_and_the_command(tmp_path: Path) -> None:
    data_dir = tmp_path / "my data"
    assert locate("fashion_mnist", data_dir) is None
    with pytest.raises(DataError) as caught:
        _prepare(data_dir, tmp_path / "cache")
    message = str(caught.value)
    assert f"fashion_mnist is not in '{data_dir}'" in message
    assert "my data/FashionMNIST/raw/train-images-idx3-ubyte" in message
    assert "my data/fashion_mnist/train'/CLASS/*" in message
    assert f"`optrack dataset prepare fashion_mnist --download --data-dir '{data_dir}'`" in message
    assert list(tmp_path.iterdir()) == []


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, b"", "train-images-idx3-ubyte' is damaged"),
        (IMAGES, b"\0\0\x08\x03" + struct.pack(">III", 60, 28, 28) + b"\0" * 99, "train-images-idx3-ubyte' is damaged"),
        (IMAGES, b"\0\0\x0d\x03" + struct.pack(">III", 1, 1, 1) + b"\0" * 4, "train-images-idx3-ubyte' is damaged"),
        (IMAGES, b"\x89PNG\r\n\x1a\n" * 10, "train-images-idx3-ubyte' is damaged"),
        (LABELS, b"\0\0\x08\x01" + struct.pack(">I", 3) + b"\0\1\2", "has 60 images, but .* 3 labels"),
        (LABELS, b"\0\0\x08\x01" + struct.pack(">I", 60) + b"\x0a" * 60, "must have labels from 0 to 9"),
        (LABELS, b"\0\0\x08\x01" + struct.pack(">I", 60) + b"\0" * 60, "class 'Trouser' has 0 images"),
    ],
)
def test_damaged_files_are_named_and_nothing_is_written(
    tmp_path: Path, write_fashion: Callable[..., Path], name: str, content: bytes, message: str
) -> None:
    data_dir = write_fashion(tmp_path / "data")
    (data_dir / "FashionMNIST" / "raw" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        _prepare(data_dir, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_packed_file_is_named(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    data_dir = write_fashion(tmp_path / "data", packed=True)
    file = data_dir / "FashionMNIST" / "raw" / f"{IMAGES}.gz"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz' is damaged"):
        _prepare(data_dir, tmp_path / "cache")


@pytest.fixture
def mirror(
    tmp_path: Path,
    write_fashion: Callable[..., Path],
    serve: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder on this machine that torchvision takes for the official server's."""
    from optrack.sources.torchvision_compat import datasets

    served = write_fashion(tmp_path / "mirror", packed=True, test=True) / "FashionMNIST" / "raw"
    sums = [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in sorted(served.iterdir())]  # noqa: S324  torchvision's choice
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [serve(served)])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", sums)
    return served


def test_what_was_downloaded_can_be_prepared(tmp_path: Path, mirror: Path) -> None:
    raw = download("fashion_mnist", tmp_path / "data")
    assert raw == tmp_path / "data" / "FashionMNIST" / "raw" == locate("fashion_mnist", tmp_path / "data")
    data = open_prepared(_prepare(tmp_path / "data", tmp_path / "cache"))
    assert data.images.tobytes() == gzip.decompress((mirror / f"{IMAGES}.gz").read_bytes())[16:]


def test_what_is_there_is_not_downloaded_again(tmp_path: Path, write_fashion: Callable[..., Path]) -> None:
    data_dir = write_fashion(tmp_path / "data", test=True)
    assert download("fashion_mnist", data_dir) == data_dir / "FashionMNIST" / "raw"


def test_a_test_part_that_is_missing_is_downloaded(tmp_path: Path, mirror: Path) -> None:
    download("fashion_mnist", tmp_path / "data")
    for file in mirror.glob("t10k-*"):
        for other in (tmp_path / "data" / "FashionMNIST" / "raw").glob(f"{file.stem}*"):
            other.unlink()
    raw = download("fashion_mnist", tmp_path / "data")
    assert {file.name for file in mirror.iterdir()} <= {file.name for file in raw.iterdir()}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torchvision leaves the answer open
def test_a_download_that_fails_is_a_data_error_in_one_line(tmp_path: Path, mirror: Path) -> None:
    (mirror / f"{LABELS}.gz").unlink()
    with pytest.raises(DataError, match=r"fashion_mnist cannot be downloaded to .*404") as caught:
        download("fashion_mnist", tmp_path / "data")
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()  # what torchvision left open is closed here, not in the next test


def test_a_download_of_something_else_is_refused(tmp_path: Path, mirror: Path) -> None:
    (mirror / f"{LABELS}.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataError, match=r"fashion_mnist cannot be downloaded"):
        download("fashion_mnist", tmp_path / "data")


@pytest.mark.data
@pytest.mark.skipif("OPTRACK_DATA" not in os.environ, reason="OPTRACK_DATA is not set")
def test_the_real_images_have_the_published_mean_and_deviation(tmp_path: Path) -> None:
    prepared = _prepare(Path(os.environ["OPTRACK_DATA"]), tmp_path / "cache", validation=0.1)
    data = open_prepared(prepared)
    assert data.images.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.labels).tolist() == [6000] * 10
    assert np.bincount(data.labels[data.validation]).tolist() == [600] * 10
    assert data.mean[0] == pytest.approx(0.286, abs=1e-3)  # as in torchvision's and other people's recipes
    assert data.std[0] == pytest.approx(0.353, abs=1e-3)
