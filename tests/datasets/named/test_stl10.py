import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, Prepared, download, locate, open_prepared, prepare
from optrack.datasets.prepared.sealed import open_test

Write = Callable[..., Path]


def _prepare(data_dir: Path, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": None, "validation": 0.5, "split_seed": 0}
    arguments |= {"data_dir": data_dir, "cache_dir": data_dir / "cache"}
    return prepare(DataRequest("stl10", **(arguments | changes)))


def test_images_come_upright_and_labels_from_zero(tmp_path: Path, write_stl10: Write) -> None:
    prepared = _prepare(write_stl10(tmp_path))
    assert (prepared.layout, prepared.input_shape) == ("torchvision", (3, 96, 96))
    data = open_prepared(prepared)
    expected = np.random.default_rng(0).integers(0, 256, (20, 3, 96, 96), dtype=np.uint8)
    assert np.array_equal(data.images, expected)
    assert data.labels.tolist() == [index % 10 for index in range(20)]
    assert data.classes[:3] == ("airplane", "bird", "car")


def test_images_are_resized(tmp_path: Path, write_stl10: Write) -> None:
    assert _prepare(write_stl10(tmp_path), image_size=64).input_shape == (3, 64, 64)


def test_the_test_binaries_are_never_opened_by_what_a_search_uses(tmp_path: Path, write_stl10: Write) -> None:
    first = _prepare(write_stl10(tmp_path))
    test = open_test(DataRequest("stl10", image_size=8, data_dir=tmp_path, cache_dir=tmp_path / "cache"))
    assert (test.images.shape, test.classes) == ((20, 3, 8, 8), first.classes)
    for file in (tmp_path / "stl10_binary").glob("test_*"):
        file.unlink()
    assert _prepare(tmp_path, cache_dir=tmp_path / "other").digest == first.digest


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train_X.bin",
            b"\0" * (27648 * 20 - 1),
            "train_X.bin' is damaged: 552959 bytes are not whole images of 27648",
        ),
        ("train_X.bin", b"", "train_X.bin' is damaged: 0 bytes"),
        ("train_X.bin", b"\0" * 27648 * 19, "has 19 images, but .*train_y.bin' 20 labels"),
        ("train_y.bin", b"\1" * 19, "has 20 images, but .*train_y.bin' 19 labels"),
        ("train_y.bin", b"\0" + b"\1" * 19, "must have labels from 1 to 10"),
        ("train_y.bin", b"\x0b" + b"\1" * 19, "must have labels from 1 to 10"),
        ("train_y.bin", b"\1" * 20, "class 'bird' has 0 images"),
        ("class_names.txt", b"cat\ndog\n", "class_names.txt' must have 10 different names, but has 2"),
        ("class_names.txt", b"\xff\xfe" * 10, "class_names.txt' cannot be read"),
    ],
)
def test_damaged_files_are_named_and_nothing_is_written(
    tmp_path: Path, write_stl10: Write, name: str, content: bytes, message: str
) -> None:
    (write_stl10(tmp_path) / "stl10_binary" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        _prepare(tmp_path)
    assert not (tmp_path / "cache").exists()


def test_the_unlabelled_images_are_downloaded_but_not_unpacked(
    tmp_path: Path, write_stl10: Write, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from optrack.sources.torchvision_compat import datasets

    source = write_stl10(tmp_path / "source")
    (source / "stl10_binary" / "unlabeled_X.bin").write_bytes(b"many")
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "stl10_binary.tar.gz", "w:gz") as packed:
        packed.add(source / "stl10_binary", "stl10_binary")
    checksum = hashlib.md5((served / "stl10_binary.tar.gz").read_bytes()).hexdigest()  # noqa: S324  torchvision's choice
    monkeypatch.setattr(datasets.STL10, "url", f"{serve(served)}stl10_binary.tar.gz")
    monkeypatch.setattr(datasets.STL10, "tgz_md5", checksum)
    place = download("stl10", tmp_path / "data")
    assert place == tmp_path / "data" / "stl10_binary" == locate("stl10", tmp_path / "data")
    assert sorted(file.name for file in place.iterdir()) == [
        "class_names.txt",
        "test_X.bin",
        "test_y.bin",
        "train_X.bin",
        "train_y.bin",
    ]
    assert _prepare(tmp_path / "data").digest == _prepare(tmp_path / "source").digest
