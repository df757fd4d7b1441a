import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, Prepared, download, locate, open_prepared, prepare
from optrack.datasets.named.cifar_pickles import read_batch
from optrack.datasets.prepared.sealed import open_test

Write = Callable[..., Path]


def _prepare(data_dir: Path, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": None, "validation": 0.2, "split_seed": 0}
    arguments |= {"data_dir": data_dir, "cache_dir": data_dir / "cache"}
    return prepare(DataRequest("cifar10", **(arguments | changes)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_all_five_batches_are_read(tmp_path: Path, write_cifar10: Write, protocol: int) -> None:
    prepared = _prepare(write_cifar10(tmp_path, protocol=protocol))
    assert (prepared.layout, prepared.input_shape) == ("torchvision", (3, 32, 32))
    assert (prepared.train_images, prepared.validation_images) == (80, 20)
    data = open_prepared(prepared)
    expected = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    assert np.array_equal(data.images[:20], expected.reshape(20, 3, 32, 32))
    assert data.labels.tolist() == [index % 10 for index in range(20)] * 5
    assert (data.classes[0], data.classes[9], data.groups) == ("airplane", "truck", None)


def test_a_batch_as_python_2_wrote_it_is_read(tmp_path: Path) -> None:
    # Written by hand, as the official ones are: str for all text and bytes, NumPy's old module name.
    row = bytes(range(256)) * 12
    code = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
    )
    code += (
        b"\x87Rq\x05(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff"
    )
    code += b"\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + row + b"tbU\x06labelsq\x08]q\tK\x07au."
    (tmp_path / "data_batch_1").write_bytes(code)
    images, labels = read_batch(tmp_path / "data_batch_1", classes=10)
    assert images.tobytes() == row
    assert (images.shape, labels.tolist()) == ((1, 3, 32, 32), [7])
    assert pickle.loads(code, encoding="bytes")[b"labels"] == [7]  # noqa: S301  our own bytes: Python reads the same


def test_the_test_batch_is_never_opened_by_what_a_search_uses(tmp_path: Path, write_cifar10: Write) -> None:
    first = _prepare(write_cifar10(tmp_path))
    test = open_test(DataRequest("cifar10", image_size=None, data_dir=tmp_path, cache_dir=tmp_path / "cache"))
    assert (test.images.shape, test.labels[:3].tolist()) == ((20, 3, 32, 32), [0, 1, 2])
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"broken")
    assert _prepare(tmp_path, cache_dir=tmp_path / "other").digest == first.digest
    with pytest.raises(DataError, match="test_batch' is damaged"):
        open_test(DataRequest("cifar10", image_size=None, data_dir=tmp_path, cache_dir=tmp_path / "cache"))


class _Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, write_cifar10: Write, protocol: int) -> None:
    trace = tmp_path / "trace"
    file = write_cifar10(tmp_path) / "cifar-10-batches-py" / "data_batch_3"
    calls = [
        _Malicious(open, str(trace), "w"),
        _Malicious(eval, f"open({str(trace)!r}, 'w')"),
        _Malicious(getattr, "text", "upper"),
    ]
    for call in calls:
        file.write_bytes(pickle.dumps({"data": call, "labels": [1]}, protocol=protocol))
        with pytest.raises(
            DataError, match=r"data_batch_3' is damaged, or not a batch .*: it names \w+\.\w+, which no batch"
        ):
            _prepare(tmp_path)
        assert not trace.exists()
        assert not (tmp_path / "cache").exists()


def test_a_name_with_dots_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.")
    with pytest.raises(DataError, match=r"it names numpy.dtype.__init__"):
        read_batch(tmp_path / "b", classes=10)


def test_what_a_pickle_does_to_the_stand_ins_is_gone_with_it(tmp_path: Path, write_cifar10: Write) -> None:
    file = write_cifar10(tmp_path) / "cifar-10-batches-py" / "data_batch_1"
    whole = file.read_bytes()
    # BUILD with a pair sets attributes: here of the class that stands for numpy.ndarray.
    file.write_bytes(b"\x80\x02cnumpy\nndarray\n(N}U\x0c__setstate__U\x01xstb.")
    with pytest.raises(DataError, match="data_batch_1' is damaged"):
        _prepare(tmp_path)
    file.write_bytes(whole)
    assert _prepare(tmp_path).train_images == 80


def _batch(**changes: Any) -> bytes:
    content: dict[str, Any] = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}
    return pickle.dumps(content | changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (_batch()[:200], "is damaged"),
        (_batch()[:-3], "is damaged"),
        (pickle.dumps([1, 2]), "is damaged"),
        (pickle.dumps({"data": 1}), "is damaged"),
        (pickle.dumps({"labels": [1]}), "it has no 'data'"),
        (_batch(labels=[0]), "a label for each image, but has 2 images, 1"),
        (_batch(labels=[0, 10]), "labels from 0 to 9"),
        (_batch(labels=[-1, 1]), "labels from 0 to 9"),
        (_batch(labels=["a", "b"]), "is damaged"),
        (_batch(data=np.zeros((2, 3071), np.uint8)), r"must be uint8 \[N, 3072\], but are u1 \(2, 3071\)"),
        (_batch(data=np.zeros((2, 3072), np.float32)), r"must be uint8 \[N, 3072\], but are f4"),
        (_batch(data=np.zeros((0, 3072), np.uint8), labels=[]), "a label for each image"),
        (b"\x80\x04P1\n.", "is damaged"),
        (b"\x80\x04\x82\x01.", "is damaged"),
    ],
)
def test_damaged_batches_are_named_and_nothing_is_written(
    tmp_path: Path, write_cifar10: Write, content: bytes, message: str
) -> None:
    (write_cifar10(tmp_path) / "cifar-10-batches-py" / "data_batch_4").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        _prepare(tmp_path)
    assert "data_batch_4" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_missing_batches_are_named(tmp_path: Path, write_cifar10: Write) -> None:
    folder = write_cifar10(tmp_path) / "cifar-10-batches-py"
    (folder / "data_batch_2").unlink()
    (folder / "data_batch_5").unlink()
    with pytest.raises(DataError, match="cifar-10-batches-py' lacks data_batch_2, data_batch_5"):
        _prepare(tmp_path)


def _archive(source: Path, archive: Path, *, extra: str = "") -> None:
    with tarfile.open(archive, "w:gz") as packed:
        for file in sorted(source.rglob("*")):
            packed.add(file, str(file.relative_to(source)), recursive=False)
        if extra:
            packed.addfile(tarfile.TarInfo(extra), io.BytesIO())


@pytest.fixture
def mirror(
    tmp_path: Path, write_cifar10: Write, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Packs `tmp_path/source` anew and has torchvision take it for the official archive."""
    from optrack.sources.torchvision_compat import datasets

    write_cifar10(tmp_path / "source")
    (tmp_path / "served").mkdir()
    address = serve(tmp_path / "served")

    def pack() -> None:
        archive = tmp_path / "served" / "cifar-10-python.tar.gz"
        _archive(tmp_path / "source", archive, extra="../outside")
        monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}{archive.name}")
        monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())  # noqa: S324  torchvision's choice

    pack()
    return pack


def test_what_was_downloaded_can_be_prepared(tmp_path: Path, mirror: Callable[[], None]) -> None:
    del mirror
    place = download("cifar10", tmp_path / "data")
    assert place == tmp_path / "data" / "cifar-10-batches-py" == locate("cifar10", tmp_path / "data")
    assert _prepare(tmp_path / "data").digest == _prepare(tmp_path / "source").digest
    assert not (tmp_path / "outside").exists()
    assert not list(place.glob("*.part"))


def test_an_archive_that_lacks_a_batch_or_is_another_is_refused(tmp_path: Path, mirror: Callable[[], None]) -> None:
    (tmp_path / "source" / "cifar-10-batches-py" / "test_batch").unlink()
    mirror()
    with pytest.raises(DataError, match=r"cifar10 cannot be downloaded to .* lacks cifar-10-batches-py/test_batch"):
        download("cifar10", tmp_path / "data")
    (tmp_path / "served" / "cifar-10-python.tar.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"cifar10 cannot be downloaded to .*orrupted"):
        download("cifar10", tmp_path / "other")
