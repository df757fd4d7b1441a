import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, Prepared, open_prepared, prepare
from optrack.datasets.store import cache
from optrack.datasets.store.cache import read_meta


@pytest.fixture
def folder(tmp_path: Path, write_images: Callable[..., Path]) -> Path:
    """A small image folder."""
    return write_images(tmp_path / "pets", {"train/cat": 6, "train/dog": 6})


def _request(folder: Path) -> DataRequest:
    return DataRequest(
        f"image_folder:{folder}",
        image_size=8,
        validation=0.5,
        split_seed=0,
        data_dir=folder,
        cache_dir=folder.parent / "deep" / "cache",
    )


def _prepare(folder: Path, counter: list[int] | None = None) -> Prepared:
    return prepare(
        _request(folder),
        progress=lambda done, _: None if counter is None else counter.append(done),
    )


def test_a_folder_holds_what_its_description_says(folder: Path) -> None:
    prepared = _prepare(folder)
    assert prepared.folder.name.startswith("image_folder_pets-8-")
    assert sorted(file.name for file in prepared.folder.iterdir()) == [
        "images.npy",
        "labels.npy",
        "meta.json",
        "split-0.5-0.npz",
    ]
    assert sorted(file.name for file in prepared.folder.parent.iterdir()) == [
        prepared.folder.name,
        f"{prepared.folder.name}.lock",
    ]


def _change_content(folder: Path) -> None:
    (folder / "train/cat/000.png").write_bytes((folder / "train/cat/001.png").read_bytes())


def _change_content_but_not_size_and_time(folder: Path) -> None:
    file = folder / "train/cat/000.png"
    before = file.stat()
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _add(folder: Path) -> None:
    (folder / "train/cat/extra.png").write_bytes((folder / "train/cat/001.png").read_bytes())


def _remove(folder: Path) -> None:
    (folder / "train/cat/000.png").unlink()


def _rename(folder: Path) -> None:
    (folder / "train/cat").rename(folder / "train/kitten")


@pytest.mark.parametrize("change", [_change_content, _change_content_but_not_size_and_time, _add, _remove, _rename])
def test_the_cache_is_made_anew_when_the_source_changed(folder: Path, change: Callable[[Path], None]) -> None:
    before = _prepare(folder)
    change(folder)
    decoded: list[int] = []
    after = _prepare(folder, decoded)
    assert decoded
    assert after.folder != before.folder
    assert open_prepared(after).classes == after.classes


def test_the_cache_is_kept_when_nothing_that_counts_changed(folder: Path) -> None:
    before = _prepare(folder)
    (folder / "train/cat/.hidden.png").write_text("hidden")
    (folder / "train/notes.txt").write_text("notes")
    decoded: list[int] = []
    assert _prepare(folder, decoded) == before
    assert decoded == []


def _cut_images(folder: Path) -> None:
    with (folder / "images.npy").open("r+b") as stream:
        stream.truncate(300)


def _overwrite_a_pixel(folder: Path) -> None:
    with (folder / "images.npy").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\7")
    os.utime(folder / "images.npy", ns=(1, 1))


def _drop_labels(folder: Path) -> None:
    (folder / "labels.npy").unlink()


def _drop_meta(folder: Path) -> None:
    (folder / "meta.json").unlink()


def _empty_meta(folder: Path) -> None:
    (folder / "meta.json").write_text("")


def _nest_meta(folder: Path) -> None:
    (folder / "meta.json").write_text("[" * 100_000)


def _list_as_meta(folder: Path) -> None:
    (folder / "meta.json").write_text("[1, 2]")


def _binary_meta(folder: Path) -> None:
    (folder / "meta.json").write_bytes(b"\xff\xfe\x00")


def _swap_classes(folder: Path) -> None:
    text = (folder / "meta.json").read_text()
    (folder / "meta.json").write_text(text.replace('"cat"', '"cow"'))


def _other_version(folder: Path) -> None:
    sealed = json.loads((folder / "meta.json").read_text())
    sealed["meta"]["version"] = 0
    sealed["sha256"] = cache._checksum(sealed["meta"])  # pyright: ignore[reportPrivateUsage]
    (folder / "meta.json").write_text(json.dumps(sealed))


@pytest.mark.parametrize(
    "damage",
    [
        _cut_images,
        _overwrite_a_pixel,
        _drop_labels,
        _drop_meta,
        _empty_meta,
        _nest_meta,
        _list_as_meta,
        _binary_meta,
        _swap_classes,
        _other_version,
    ],
)
def test_a_damaged_folder_is_never_trusted_but_made_anew(folder: Path, damage: Callable[[Path], None]) -> None:
    before = _prepare(folder)
    images = np.array(open_prepared(before).images)
    damage(before.folder)
    assert read_meta(before.folder) is None
    with pytest.raises(DataError, match="prepare it again"):
        open_prepared(before)
    decoded: list[int] = []
    assert _prepare(folder, decoded) == before
    assert decoded
    assert np.array_equal(open_prepared(before).images, images)
    assert len(list(before.folder.parent.iterdir())) == 2


def _cut_split(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def _flip_split(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)


def _text_as_split(file: Path) -> None:
    file.write_text("no zip file")


def _empty_split(file: Path) -> None:
    np.savez(file)


def _foreign_split(file: Path) -> None:
    with np.load(file) as arrays:
        np.savez(file, **{**arrays, "train": arrays["train"][1:]})


@pytest.mark.parametrize("damage", [_cut_split, _flip_split, _text_as_split, _empty_split, _foreign_split])
def test_a_damaged_split_is_made_anew(folder: Path, damage: Callable[[Path], None]) -> None:
    before = _prepare(folder)
    damage(before.split)
    with pytest.raises(DataError, match="prepare it again"):
        open_prepared(before)
    assert _prepare(folder) == before
    assert open_prepared(before).split_digest == before.split_digest


def test_what_a_killed_process_left_is_cleared_away(folder: Path) -> None:
    before = _prepare(folder)
    leftover = before.folder.with_name(f".{before.folder.name}-0123456789abcdef.tmp")
    leftover.mkdir()
    _drop_meta(before.folder)
    _prepare(folder)
    assert not leftover.exists()


def test_bad_images_leave_neither_folder_nor_lock_nor_cache_behind(folder: Path) -> None:
    whole = (folder / "train/dog/003.png").read_bytes()
    (folder / "train/dog/003.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"1 of 12 images .* cannot be read: train/dog/003.png \("):
        _prepare(folder)
    assert [entry.name for entry in folder.parent.iterdir()] == ["pets"]


def test_an_interrupted_build_leaves_nothing_behind(folder: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        del done, total
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(_request(folder), progress=interrupt)
    assert [entry.name for entry in folder.parent.iterdir()] == ["pets"]
