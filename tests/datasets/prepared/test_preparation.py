import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, Prepared, Progress, SearchData, open_prepared, prepare


def _prepare(name: str, folder: Path, progress: Progress | None = None, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": None, "validation": 0.25, "split_seed": 0}
    arguments |= {"data_dir": folder / "data", "cache_dir": folder / "cache"}
    return prepare(DataRequest(name, **(arguments | changes)), progress)


def _same(first: SearchData, second: SearchData) -> bool:
    arrays = ("images", "labels", "train", "validation")
    values = ("classes", "mean", "std", "digest", "split_digest")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays) and all(
        getattr(first, name) == getattr(second, name) for name in values
    )


def test_what_was_prepared_travels_by_pickle_and_opens_elsewhere(tmp_path: Path) -> None:
    prepared = _prepare("digits", tmp_path)
    travelled = pickle.loads(pickle.dumps(prepared))  # noqa: S301  our own bytes
    assert travelled == prepared
    assert len(pickle.dumps(prepared)) < 2000
    assert _same(open_prepared(travelled), open_prepared(prepared))


def test_the_opened_arrays_have_the_promised_types_and_are_read_only(tmp_path: Path) -> None:
    prepared = _prepare("digits", tmp_path)
    data = open_prepared(prepared)
    assert isinstance(data.images, np.memmap)
    assert (data.images.dtype, data.images.shape[1:]) == (np.uint8, prepared.input_shape)
    for indices in (data.labels, data.train, data.validation):
        assert indices.dtype == np.int64
    for array in (data.images, data.labels, data.train, data.validation):
        assert not array.flags.writeable
    assert sorted([*data.train, *data.validation]) == list(range(len(data.labels)))
    assert (len(data.train), len(data.validation)) == (prepared.train_images, prepared.validation_images)


def test_mean_and_std_are_those_of_the_training_images_alone(tmp_path: Path) -> None:
    data = open_prepared(_prepare("digits", tmp_path))
    pixels = data.images[data.train].astype(np.float64) / 255
    assert data.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)).tolist(), rel=1e-12)
    assert data.std == pytest.approx(pixels.std(axis=(0, 2, 3)).tolist(), rel=1e-12)


def test_images_are_resized_once_into_the_cache(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    prepared = _prepare("digits", tmp_path, image_size=32, progress=progress)
    assert prepared.input_shape == (1, 32, 32)
    assert open_prepared(prepared).images.shape == (1437, 1, 32, 32)
    assert calls == [(1024, 1437), (1437, 1437)]
    calls.clear()
    assert _prepare("digits", tmp_path, image_size=32, progress=progress) == prepared
    assert calls == []


def test_splits_share_the_images_and_differ_in_the_split_alone(tmp_path: Path) -> None:
    first, second = _prepare("digits", tmp_path), _prepare("digits", tmp_path, split_seed=1)
    assert first.folder == second.folder
    assert first.digest == second.digest
    assert first.split_digest != second.split_digest
    assert _prepare("digits", tmp_path, validation=0.5).split_digest not in {first.split_digest, second.split_digest}


def test_a_prepared_data_set_is_found_again_without_torch_or_scikit_learn(
    tmp_path: Path, write_fashion: Callable[..., Path]
) -> None:
    write_fashion(tmp_path / "data")
    _prepare("fashion_mnist", tmp_path)
    code = f"""
import sys
from pathlib import Path
from optrack.datasets import DataRequest, open_prepared, prepare
folder = Path({str(tmp_path)!r})
request = DataRequest("fashion_mnist", validation=0.25, data_dir=folder / "data", cache_dir=folder / "cache")
open_prepared(prepare(request))
print(sorted({{"torch", "torchvision", "sklearn"}} & {{*sys.modules}}))
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 0}, r"image_size must lie in \[1, 4096\] pixels or be None, but got 0"),
        ({"image_size": 5000}, r"but got 5000"),
        ({"validation": 0.0}, r"validation must lie in \(0, 1\), but got 0.0"),
        ({"validation": 1.0}, r"but got 1.0"),
        ({"validation": float("nan")}, r"but got nan"),
        ({"validation": 0.001}, r"0.001 of 1437 images are split off for validation"),
        ({"split_seed": -1}, r"split_seed must lie in \[0, 2\*\*32\), but got -1"),
    ],
)
def test_bad_arguments_are_refused_and_leave_nothing_behind(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _prepare("digits", tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "digit",
            r"unknown data set 'digit' \(did you mean 'digits'\?\); valid names: cifar10, cinic10, digits, f",
        ),
        ("", r"unknown data set ''; valid names:"),
        ("imagefolder:x", r"did you mean 'image_folder:PATH'"),
        ("image_folder", r"'image_folder' needs more than its name: image_folder:PATH"),
        ("image_folder:", r"needs more than its name"),
        ("digits:8", r"nothing may follow the name 'digits', but got 'digits:8'"),
    ],
)
def test_unknown_names_are_refused_with_what_is_known(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _prepare(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_opening_says_to_prepare_again_when_the_cache_was_changed(tmp_path: Path) -> None:
    prepared = _prepare("digits", tmp_path)
    prepared.split.write_bytes(prepared.split.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"of 'digits' is gone or was changed .*: prepare it again"):
        open_prepared(prepared)
    assert _same(open_prepared(_prepare("digits", tmp_path)), open_prepared(prepared))


def test_a_cache_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cannot be written: .*File exists"):
        _prepare("digits", tmp_path)


@pytest.mark.slow
def test_processes_that_prepare_at_once_decode_once(tmp_path: Path, write_images: Callable[..., Path]) -> None:
    write_images(tmp_path / "data", {"train/a": 150, "train/b": 150}, size=(200, 200))
    code = f"""
import time
from pathlib import Path
from optrack.datasets import DataRequest, prepare
folder, decoded = Path({str(tmp_path)!r}), []
print("ready", flush=True)
input()
prepared = prepare(
    DataRequest(
        f"image_folder:{{folder / 'data'}}", image_size=16, validation=0.5, data_dir=folder, cache_dir=folder / "cache"
    ),
    progress=lambda done, _: (time.sleep(0.5), decoded.append(done)),
)
print(prepared.digest, sum(decoded))
"""
    command = [sys.executable, "-c", code]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outcomes = [first, second]
        for process in outcomes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=120)[0].split() for process in outcomes]
    assert answers[0][0] == answers[1][0]
    assert sorted(decoded for _, decoded in answers) == ["0", "300"]
