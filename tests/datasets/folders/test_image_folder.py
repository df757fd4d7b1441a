import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optrack.datasets import DataError, DataRequest, Prepared, download, locate, open_prepared, prepare

Write = Callable[..., Path]


def _prepare(folder: Path | str, cache_dir: Path, **changes: Any) -> Prepared:
    arguments: dict[str, Any] = {"image_size": 8, "validation": 0.5, "split_seed": 0}
    return prepare(
        DataRequest(f"image_folder:{folder}", data_dir=cache_dir, cache_dir=cache_dir, **(arguments | changes))
    )


def _refused(folder: Path | str, message: str, **changes: Any) -> None:
    cache_dir = Path(folder).parent / "never"
    with pytest.raises(DataError, match=message) as caught:
        _prepare(folder, cache_dir, **changes)
    assert "\n" not in str(caught.value)
    assert not cache_dir.exists()


@pytest.mark.parametrize("name", ["val", "valid"])
def test_an_official_validation_part_is_used_as_it_is(tmp_path: Path, write_images: Write, name: str) -> None:
    counts = {"train/ant": 3, "train/bee": 4, f"{name}/ant": 2, f"{name}/bee": 1, "test/ant": 1}
    prepared = _prepare(write_images(tmp_path / "set", counts), tmp_path / "cache", validation=0.001)
    assert (prepared.layout, prepared.classes, prepared.input_shape) == ("class folders", ("ant", "bee"), (3, 8, 8))
    data = open_prepared(prepared)
    assert data.labels[data.train].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert data.labels[data.validation].tolist() == [0, 0, 1]
    other_seed = _prepare(tmp_path / "set", tmp_path / "cache", split_seed=5, validation=0.7)
    assert other_seed == prepared


def test_without_one_validation_is_split_off_from_train(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 6, "train/bee": 6, "test/ant": 3})
    (folder / "test" / "ant" / "broken.png").write_text("never opened")
    prepared = _prepare(folder, tmp_path / "cache")
    assert (prepared.train_images, prepared.validation_images) == (6, 6)


def test_from_class_folders_a_fifth_is_withheld_that_no_seed_changes(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"ant": 10, "bee": 20}, size=(8, 8))
    seen: set[bytes] = set()
    for seed in (0, 1):
        data = open_prepared(_prepare(folder, tmp_path / "cache", split_seed=seed))
        assert np.bincount(data.labels).tolist() == [8, 16]
        seen |= {image.tobytes() for image in data.images}
    assert len(seen) == 24


def test_an_unreadable_image_of_the_withheld_part_is_never_opened(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"ant": 5, "bee": 5})
    refused = 0
    for file in sorted(folder.rglob("*.png")):
        content = file.read_bytes()
        file.write_text("broken")
        try:
            _prepare(folder, tmp_path / f"cache-{file.parent.name}-{file.stem}")
        except DataError:
            refused += 1
        file.write_bytes(content)
    assert refused == 8


def test_pixels_and_labels_belong_together(tmp_path: Path) -> None:
    for label, name in enumerate(["dark", "light", "middle"]):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
        for index in range(7):
            value = (20, 230, 120)[label] + index
            Image.new("RGB", (9, 9), (value, value, value)).save(tmp_path / "set" / "train" / name / f"{index}.png")
    data = open_prepared(_prepare(tmp_path / "set", tmp_path / "cache", image_size=None))
    assert [int(image[0, 0, 0]) for image in data.images] == [
        start + index for start in (20, 230, 120) for index in range(7)
    ]
    assert data.labels.tolist() == [0] * 7 + [1] * 7 + [2] * 7


@pytest.mark.parametrize(
    ("modes", "channels"), [(["L", "1"], 1), (["LA", "L"], 1), (["L", "RGB"], 3), (["P", "L"], 3), (["RGBA", "P"], 3)]
)
def test_a_set_is_grey_when_none_of_its_images_has_colour(
    tmp_path: Path, write_images: Write, modes: list[str], channels: int
) -> None:
    for name, mode in zip(["ant", "bee"], modes, strict=True):
        write_images(tmp_path / "set", {f"train/{name}": 4}, mode=mode)
    assert _prepare(tmp_path / "set", tmp_path / "cache").input_shape == (channels, 8, 8)


def test_native_sizes_are_kept_when_they_are_all_the_same(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4}, size=(12, 10))
    assert _prepare(folder, tmp_path / "cache", image_size=None).input_shape == (3, 10, 12)


def test_native_sizes_that_differ_ask_for_an_image_size(tmp_path: Path, write_images: Write) -> None:
    write_images(tmp_path / "set", {"train/ant": 4}, size=(12, 10))
    write_images(tmp_path / "set", {"train/bee": 4}, size=(5, 6))
    message = r"image_size must be given: train/ant/000.png has 12x10 pixels, train/bee/000.png 5x6"
    _refused(tmp_path / "set", message, image_size=None)


def test_what_is_hidden_or_no_image_is_ignored(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4, "train/.git": 2, "train/bee/.thumbs": 1})
    (folder / "train" / "notes.txt").write_text("")
    (folder / "train" / "loose.png").write_text("")
    (folder / "train" / "ant" / "Thumbs.db").write_text("")
    (folder / "train" / "ant" / ".000.png").write_text("")
    prepared = _prepare(folder, tmp_path / "cache")
    assert prepared.classes == ("ant", "bee")
    assert prepared.train_images + prepared.validation_images == 8


def test_suffixes_count_in_any_case_and_at_any_depth(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant/deep/er": 4, "train/bee": 4}, suffix=".JPG")
    assert _prepare(folder, tmp_path / "cache").train_images == 4


def test_loops_of_symbolic_links_end(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    for name in ("ant", "bee"):
        for index in range(3):
            (folder / "train" / name / f"loop{index}").symlink_to(folder / "train" / name)
    (folder / "train" / "bee" / "self.png").symlink_to("self.png")
    _refused(folder, r"1 of 9 files in .* cannot be read: train/bee/self.png \(Too many levels of symbolic links\)")
    (folder / "train" / "bee" / "self.png").unlink()
    assert _prepare(folder, tmp_path / "cache").train_images == 4


def test_linked_folders_and_files_are_followed(tmp_path: Path, write_images: Write) -> None:
    store = write_images(tmp_path / "store", {"a": 4, "b": 4})
    (tmp_path / "set" / "train" / "bee").mkdir(parents=True)
    (tmp_path / "set" / "train" / "ant").symlink_to(store / "a")
    for file in (store / "b").iterdir():
        (tmp_path / "set" / "train" / "bee" / file.name).symlink_to(file)
    assert _prepare(tmp_path / "set", tmp_path / "cache").train_images == 4


def test_a_named_pipe_does_not_hang(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    os.mkfifo(folder / "train" / "ant" / "pipe.png")
    _refused(folder, r"train/ant/pipe.png \(not a file\)")


def test_relative_paths_and_the_home_folder_are_understood(
    tmp_path: Path, write_images: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    first = _prepare("set", Path("cache"))
    assert first.folder.is_absolute()
    assert _prepare("~/set", Path("cache")).folder == first.folder
    assert locate("image_folder:~/set", tmp_path) == tmp_path / "set"
    assert locate("image_folder:~/other", tmp_path) is None


def test_a_home_that_nobody_has_is_a_data_error() -> None:
    _refused("~nobody-has-this-name/set", "cannot be expanded")


def test_an_image_folder_cannot_be_downloaded(tmp_path: Path) -> None:
    assert download(f"image_folder:{tmp_path}", tmp_path) == tmp_path
    with pytest.raises(DataError, match="an image folder cannot be downloaded"):
        download(f"image_folder:{tmp_path / 'gone'}", tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    _refused(tmp_path / "gone", r"there is no folder '.*/gone' \(current folder: '")


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    _refused(tmp_path / "set", "set' is not a folder")


@pytest.mark.parametrize("name", ["set", "set/train"])
def test_an_empty_folder_has_no_class_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "image.png").write_text("")
    _refused(tmp_path / "set", rf"{name}' has no class folders: images are looked for in '.*{name}'/CLASS/\*")


def test_a_class_without_an_image_is_named(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 0, "train/cat": 0})
    _refused(folder, r"classes in '.*train' without an image \(.bmp, .jpeg, .*\): 'bee', 'cat'")


@pytest.mark.parametrize("counts", [{"train/ant": 4}, {"ant": 9}, {"train/ant": 4, "val/ant": 4}])
def test_one_class_is_not_enough(tmp_path: Path, write_images: Write, counts: dict[str, int]) -> None:
    _refused(write_images(tmp_path / "set", counts), "must have at least two class folders, but has one, 'ant'")


def test_classes_that_are_in_one_part_alone_are_named(tmp_path: Path, write_images: Write) -> None:
    counts = {"train/ant": 2, "train/bee": 2, "val/bee": 2, "val/cat": 2}
    message = r"must have the same classes: 'ant' is missing in val, 'cat' is missing in train"
    _refused(write_images(tmp_path / "set", counts), message)


@pytest.mark.parametrize("names", [["training", "validation"], ["Train", "Test"], ["train", "validation"]])
def test_parts_under_other_names_are_not_taken_for_classes(
    tmp_path: Path, write_images: Write, names: list[str]
) -> None:
    counts = {f"{part}/{name}": 3 for part in names for name in ("ant", "bee")}
    _refused(write_images(tmp_path / "set", counts), "parts are called train, val or valid, and test")


def test_parts_without_train_are_refused(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"val/ant": 3, "val/bee": 3, "test/ant": 1})
    _refused(folder, "has test, val but no train to train on")


def test_two_validation_parts_are_refused(tmp_path: Path, write_images: Write) -> None:
    counts = {f"{part}/{name}": 3 for part in ("train", "val", "valid") for name in ("ant", "bee")}
    _refused(write_images(tmp_path / "set", counts), "has both val and valid")


@pytest.mark.parametrize("counts", [{"train/ant": 1, "train/bee": 6}, {"ant": 2, "bee": 9}])
def test_a_class_that_is_too_small_to_split_is_named(
    tmp_path: Path, write_images: Write, counts: dict[str, int]
) -> None:
    _refused(write_images(tmp_path / "set", counts), "every class must have images on both sides .* class 'ant' has")


def test_all_unreadable_images_are_named_at_once(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    (folder / "train" / "ant" / "001.png").write_text("text")
    (folder / "train" / "ant" / "002.png").write_bytes(b"")
    whole = (folder / "train" / "bee" / "000.png").read_bytes()
    (folder / "train" / "bee" / "000.png").write_bytes(whole[:100])
    unknown = r"\(not JPEG, [\w, ]*\)"
    _refused(folder, rf"3 of 8 images in .*/ant/001.png {unknown}, .*/ant/002.png {unknown}, .*/bee/000.png \(")


def test_more_than_ten_unreadable_images_are_counted(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 14, "train/bee": 4})
    for file in (folder / "train" / "ant").iterdir():
        file.write_text("text")
    _refused(folder, r"14 of 18 images .*009.png \(not JPEG, [\w, ]*\) and 4 more$")


def test_a_decompression_bomb_is_named(tmp_path: Path, write_images: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    Image.new("L", (40, 40)).save(folder / "train" / "bee" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    _refused(folder, r"1 of 9 .*train/bee/bomb.png \(more than 1,000 pixels, Pillow's guard")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, write_images: Write) -> None:
    folder = write_images(tmp_path / "set", {"train/ant": 4, "train/bee": 4})
    (folder / "train" / "ant").chmod(0)
    _refused(folder, "train/ant' cannot be read: Permission denied")


@pytest.mark.data
@pytest.mark.skipif("OPTRACK_DATA" not in os.environ, reason="OPTRACK_DATA is not set")
def test_real_photographs_are_prepared(tmp_path: Path) -> None:
    prepared = _prepare(Path(os.environ["OPTRACK_DATA"]) / "hymenoptera", tmp_path / "cache", image_size=64)
    assert (prepared.classes, prepared.train_images, prepared.validation_images) == (("ants", "bees"), 243, 153)
