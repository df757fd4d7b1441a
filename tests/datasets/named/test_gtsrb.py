import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, Prepared, download, locate, open_prepared, prepare
from optrack.datasets.prepared.sealed import open_test

Write = Callable[..., Path]


def _prepare(data_dir: Path, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": 8, "validation": 0.25, "split_seed": 0}
    arguments |= {"data_dir": data_dir, "cache_dir": data_dir / "cache"}
    return prepare(DataRequest("gtsrb", **(arguments | changes)))


def _training(data_dir: Path) -> Path:
    return data_dir / "gtsrb" / "GTSRB" / "Training"


def test_tracks_are_groups_and_stay_on_one_side(tmp_path: Path, write_gtsrb: Write) -> None:
    prepared = _prepare(write_gtsrb(tmp_path))
    assert (prepared.layout, prepared.input_shape) == ("torchvision", (3, 8, 8))
    assert (prepared.train_images, prepared.validation_images) == (43 * 6, 43 * 2)
    data = open_prepared(prepared)
    assert data.groups is not None
    assert [len(set(data.groups[part].tolist())) for part in (data.train, data.validation)] == [43 * 3, 43]
    assert not set(data.groups[data.train].tolist()) & set(data.groups[data.validation].tolist())
    assert np.bincount(data.labels[data.validation]).tolist() == [2] * 43
    assert (len(set(data.classes)), data.classes[14], data.classes[38]) == (43, "Stop", "Keep right")


def test_the_test_images_are_never_opened_by_what_a_search_uses(tmp_path: Path, write_gtsrb: Write) -> None:
    first = _prepare(write_gtsrb(tmp_path))
    for file in (tmp_path / "gtsrb" / "GTSRB" / "Final_Test" / "Images").iterdir():
        file.write_bytes(b"broken")
    (tmp_path / "gtsrb" / "GT-final_test.csv").unlink()
    assert _prepare(tmp_path) == first
    assert _prepare(tmp_path, cache_dir=tmp_path / "other").digest == first.digest
    with pytest.raises(DataError, match=r"has no test part: there is no .*GT-final_test.csv"):
        open_test(DataRequest("gtsrb", image_size=8, data_dir=tmp_path, cache_dir=tmp_path / "cache"))


def test_the_test_part_has_its_labels_from_its_table(tmp_path: Path, write_gtsrb: Write) -> None:
    test = open_test(DataRequest("gtsrb", image_size=8, data_dir=write_gtsrb(tmp_path), cache_dir=tmp_path / "cache"))
    assert test.labels.tolist() == [(index * 7) % 43 for index in range(43)]
    assert test.images.shape == (43, 3, 8, 8)
    assert test.classes == _prepare(tmp_path).classes


def _drop_table(root: Path) -> None:
    (root / "00003" / "GT-00003.csv").unlink()


def _drop_image(root: Path) -> None:
    (root / "00003" / "00001_00000.ppm").unlink()


def _add_image(root: Path) -> None:
    shutil.copy(root / "00003" / "00001_00000.ppm", root / "00003" / "00009_00000.ppm")


def _drop_class(root: Path) -> None:
    shutil.rmtree(root / "00007")


def _name_twice(root: Path) -> None:
    table = root / "00003" / "GT-00003.csv"
    table.write_text(table.read_text() + "00001_00000.ppm;8;8;1;1;7;7;3\n")


def _other_class(root: Path) -> None:
    table = root / "00003" / "GT-00003.csv"
    table.write_text(table.read_text().replace(";7;3", ";7;4"))


def _other_columns(root: Path) -> None:
    (root / "00003" / "GT-00003.csv").write_text("Filename,ClassId\n00001_00000.ppm,3\n")


def _no_number(root: Path) -> None:
    table = root / "00003" / "GT-00003.csv"
    table.write_text(table.read_text().replace(";7;3", ";7;three"))


def _binary_table(root: Path) -> None:
    (root / "00003" / "GT-00003.csv").write_bytes(b"\xff\xfe\0\0" * 9)


def _other_name(root: Path) -> None:
    table = root / "00003" / "GT-00003.csv"
    table.write_text(table.read_text().replace("00001_00000", "sign"))
    (root / "00003" / "00001_00000.ppm").rename(root / "00003" / "sign.ppm")


def _truncate_image(root: Path) -> None:
    file = root / "00003" / "00001_00000.ppm"
    file.write_bytes(file.read_bytes()[:40])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop_table, "lacks the tables 00003/GT-00003.csv"),
        (_drop_image, "1 of 344 images in the tables of .* are not there: 00003/00001_00000.ppm"),
        (_add_image, "must name every image once, but not so: 00003/00009_00000.ppm"),
        (_drop_class, "lacks the class folders 00007"),
        (_name_twice, "must name every image once, but not so: 00003/00001_00000.ppm"),
        (_other_class, "must have the class 3 alone, but has another for 00000_00000.ppm, .*"),
        (_other_columns, "GT-00003.csv' must have the columns Filename and ClassId"),
        (_no_number, "GT-00003.csv' must have the columns Filename and ClassId.*three"),
        (_binary_table, "GT-00003.csv' must have the columns Filename and ClassId"),
        (_other_name, "must be named TTTTT_FFFFF.ppm, track and frame: 00003/sign.ppm"),
        (_truncate_image, r"1 of 344 images in .* cannot be read: 00003/00001_00000.ppm \("),
    ],
)
def test_what_is_wrong_with_the_files_is_named_and_nothing_is_left(
    tmp_path: Path, write_gtsrb: Write, damage: Callable[[Path], None], message: str
) -> None:
    damage(_training(write_gtsrb(tmp_path)))
    with pytest.raises(DataError, match=message) as caught:
        _prepare(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_class_beyond_the_last_in_the_test_table_is_refused(tmp_path: Path, write_gtsrb: Write) -> None:
    table = write_gtsrb(tmp_path) / "gtsrb" / "GT-final_test.csv"
    table.write_text(table.read_text().replace(";7;42", ";7;43"))
    with pytest.raises(DataError, match=r"must have classes from 0 to 42: \d{5}.ppm \(43\)"):
        open_test(DataRequest("gtsrb", image_size=8, data_dir=tmp_path, cache_dir=tmp_path / "cache"))


def test_a_group_pattern_is_for_class_folders_alone(tmp_path: Path, write_gtsrb: Write) -> None:
    with pytest.raises(DataError, match=r"a group pattern is for images in class folders, but gtsrb lies in"):
        _prepare(write_gtsrb(tmp_path), group_pattern="x")


def test_class_folders_are_split_by_track_too(tmp_path: Path, write_images: Write) -> None:
    for folder in ("stop", "yield"):
        for track in range(4):
            source = write_images(tmp_path / "made", {f"{folder}{track}": 3})
            (tmp_path / "gtsrb" / "train" / folder).mkdir(parents=True, exist_ok=True)
            for index, file in enumerate(sorted((source / f"{folder}{track}").iterdir())):
                file.rename(tmp_path / "gtsrb" / "train" / folder / f"{track:05}_{index:05}.png")
    prepared = _prepare(tmp_path)
    data = open_prepared(prepared)
    assert prepared.layout == "class folders"
    assert data.groups is not None
    assert [len(set(data.groups[part].tolist())) for part in (data.train, data.validation)] == [6, 2]
    (tmp_path / "gtsrb" / "train" / "stop" / "00000_00000.png").rename(tmp_path / "gtsrb" / "train" / "stop" / "a.png")
    with pytest.raises(DataError, match=r"finds no key in 1 of 24: stop/a\.png"):
        _prepare(tmp_path)


def test_what_was_downloaded_can_be_prepared(
    tmp_path: Path, write_gtsrb: Write, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from optrack.sources.torchvision_compat import datasets

    gtsrb = sys.modules[datasets.GTSRB.__module__]  # torchvision's own
    source = write_gtsrb(tmp_path / "source") / "gtsrb"
    served = tmp_path / "served"
    served.mkdir()
    archives = {"GTSRB-Training_fixed.zip": "GTSRB/Training", "GTSRB_Final_Test_Images.zip": "GTSRB/Final_Test"}
    for name, below in {**archives, "GTSRB_Final_Test_GT.zip": "GT-final_test.csv"}.items():
        with zipfile.ZipFile(served / name, "w") as archive:
            for file in [source / below, *(source / below).rglob("*")]:
                if file.is_file():
                    archive.write(file, file.relative_to(source))
    address, fetch = serve(served), gtsrb.download_and_extract_archive

    def redirected(url: str, download_root: str, md5: str) -> None:
        name = url.rpartition("/")[2]
        assert md5
        own = hashlib.md5((served / name).read_bytes()).hexdigest()  # noqa: S324  torchvision's choice
        fetch(address + name, download_root=download_root, md5=own)

    monkeypatch.setattr(gtsrb, "download_and_extract_archive", redirected)
    place = download("gtsrb", tmp_path / "data")
    assert place == tmp_path / "data" / "gtsrb" / "GTSRB" == locate("gtsrb", tmp_path / "data")
    assert _prepare(tmp_path / "data").digest == _prepare(tmp_path / "source").digest
    tests = [
        open_test(DataRequest("gtsrb", image_size=8, data_dir=tmp_path / name, cache_dir=tmp_path / name / "cache"))
        for name in ("data", "source")
    ]
    assert tests[0].digest == tests[1].digest


@pytest.mark.data
@pytest.mark.skipif("OPTRACK_DATA" not in os.environ, reason="OPTRACK_DATA is not set")
def test_the_real_signs_are_all_there_and_no_track_straddles(tmp_path: Path) -> None:
    data_dir = Path(os.environ["OPTRACK_DATA"])
    prepared = _prepare(data_dir, image_size=30, validation=0.15, cache_dir=tmp_path)
    assert prepared.train_images + prepared.validation_images == 39_209
    data = open_prepared(prepared)
    assert data.groups is not None
    assert len(set(data.groups.tolist())) == 1307
    assert not set(data.groups[data.train].tolist()) & set(data.groups[data.validation].tolist())
    per_class = np.bincount(data.labels, minlength=43)
    assert np.abs(np.bincount(data.labels[data.validation]) - 0.15 * per_class).max() <= 15
    test = open_test(DataRequest("gtsrb", image_size=30, data_dir=data_dir, cache_dir=tmp_path))
    assert (len(test.labels), len(np.unique(test.labels))) == (12_630, 43)
