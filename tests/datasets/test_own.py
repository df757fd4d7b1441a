"""People's own data sets: arrays or an image folder out of a class of theirs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optrack.datasets import DataError, DataRequest, NoTestPartError, Prepared, locate, open_prepared, prepare
from optrack.datasets.prepared.sealed import TestData, open_test
from optrack.datasets.registry import is_own_dataset
from optrack.sources import SourceError

HEADER = """
import numpy as np

def made(count, seed, size=6):
    images = np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return images, np.arange(count) % 2

class Mine:
    classes = ["even", "odd"]
"""
TRAIN = "    def train(self):\n        return made(40, 0)\n"
VALIDATION = "    def validation(self):\n        return made(10, 1)\n"
TEST = "    def test(self):\n        return made(12, 2)\n"
GROUPS = "    def groups(self):\n        return np.arange(40) // 4\n"


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prepared(text: str, reference: str = "mine.py:Mine", **changes: Any) -> Prepared:
    Path("mine.py").write_text(text)
    options: dict[str, Any] = {"image_size": None, "validation": 0.25, "split_seed": 0} | changes
    return prepare(DataRequest(reference, data_dir=Path("data"), cache_dir=Path("cache"), **options))


def opened() -> TestData:
    return open_test(DataRequest("mine.py:Mine", image_size=None, data_dir=Path("data"), cache_dir=Path("cache")))


def test_all_three_parts_come_as_they_are_given() -> None:
    ready = prepared(HEADER + TRAIN + VALIDATION + TEST)
    assert (ready.classes, ready.layout, ready.input_shape) == (("even", "odd"), "own code", (3, 6, 6))
    data = open_prepared(ready)
    assert (len(data.train), len(data.validation)) == (40, 10)
    expected = np.random.default_rng(1).integers(0, 256, (10, 3, 6, 6), dtype=np.uint8)
    assert np.array_equal(data.images[data.validation], expected)
    assert len(opened().images) == 12


def test_without_a_test_part_a_fifth_is_withheld_and_never_reaches_the_search() -> None:
    data = open_prepared(prepared(HEADER + TRAIN))
    test = opened()
    assert (len(data.images), len(test.images)) == (32, 8)
    assert np.bincount(test.labels).tolist() == [4, 4]
    seen = {image.tobytes() for image in data.images}
    assert not seen & {image.tobytes() for image in test.images}


def test_images_that_belong_together_stay_together() -> None:
    ready = prepared(HEADER + TRAIN + GROUPS)
    data = open_prepared(ready)
    assert data.groups is not None
    assert not {*data.groups[data.train].tolist()} & {*data.groups[data.validation].tolist()}
    everything = np.random.default_rng(0).integers(0, 256, (40, 3, 6, 6), dtype=np.uint8)
    group_of = {image.tobytes(): index // 4 for index, image in enumerate(everything)}
    searched = {group_of[image.tobytes()] for image in data.images}
    assert not searched & {group_of[image.tobytes()] for image in opened().images}


def test_an_image_folder_may_be_what_is_given() -> None:
    for name in ("cat", "dog"):
        for number in range(10):
            file = Path(f"photos/{name}/{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
    ready = prepared("class Mine:\n    def folder(self):\n        return 'photos'\n")
    assert (ready.classes, ready.layout) == (("cat", "dog"), "class folders")
    assert len(opened().images) == 4


def test_what_was_decoded_is_used_again_until_the_arrays_change() -> None:
    first = prepared(HEADER + TRAIN)
    assert prepared(HEADER + TRAIN + "# a comment\n").folder == first.folder
    assert prepared(HEADER.replace("256", "255") + TRAIN).folder != first.folder


def test_the_search_never_calls_for_the_test_part() -> None:
    prepared(HEADER + TRAIN + "    def test(self):\n        raise SystemExit('opened')\n")


def test_where_a_data_set_lies_is_known_without_running_it() -> None:
    Path("mine.py").write_text("raise SystemExit")
    assert locate("mine.py:Mine", Path("data")) == Path("mine.py")
    assert locate("other.py:Mine", Path("data")) is None
    assert is_own_dataset("mine.py:Mine")
    assert not is_own_dataset("image_folder:photos")


def test_a_validation_part_without_a_test_part_says_so() -> None:
    prepared(HEADER + TRAIN + VALIDATION)
    with pytest.raises(NoTestPartError, match=r"validation\(\), but no test\(\)"):
        opened()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.py has no 'Mine'"),
        ("Mine = 3\n", "mine.py:Mine must be a class, but is a int"),
        ("x = = 1\n", "mine.py, line 1: invalid syntax"),
        ("class Mine:\n    def __init__(self, path): ...\n", "cannot be made without arguments: TypeError"),
        ("class Mine: ...\n", "must have folder(), which gives the path of an image folder, or classes and train()"),
        ("class Mine:\n    def folder(self):\n        return 3\n", "must give a path, but gives a int"),
        ("class Mine:\n    def train(self): ...\n", "must be a list of names of at least two classes"),
        (HEADER.replace('"odd"', '"even"') + TRAIN, "each once, but got ['even', 'even']"),
        (HEADER + "    def train(self):\n        1 / 0\n", "fails in train(), line 11: ZeroDivisionError"),
        (HEADER + TRAIN.replace("made(40, 0)", "made(40, 0)[0]"), "must give a pair, images uint8 [N, C, H, W]"),
        (HEADER.replace("(count, 3, size, size)", "(count, size, size, 3)") + TRAIN, "but gives uint8 [40, 6, 6, 3]"),
        (HEADER.replace("dtype=np.uint8", "") + TRAIN, "but gives int64 [40, 3, 6, 6]"),
        (HEADER.replace("arange(count)", "arange(7)") + TRAIN, "40 as there are images, but gives int64 [7]"),
        (HEADER.replace("% 2", "% 3") + TRAIN, "must give labels in 0 to 1, but gives 0 to 2"),
        (HEADER.replace("% 2", "* 0") + TRAIN, "must have images of every class, but none of 'odd'"),
        (HEADER + TRAIN + VALIDATION.replace("10, 1", "10, 1, 5"), "must have one shape, but those of train()"),
        (HEADER + TRAIN + GROUPS.replace("40", "39"), "must give integers [40], one for each image of train()"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_said_in_one_line_and_nothing_is_written(text: str, message: str) -> None:
    with pytest.raises((DataError, SourceError)) as raised:
        prepared(text)
    assert message in str(raised.value)
    assert not Path("cache").exists()


def test_a_group_pattern_is_for_files() -> None:
    with pytest.raises(DataError, match=r"groups\(\) says which images belong together"):
        prepared(HEADER + TRAIN, group_pattern="(.+)")


def test_a_slip_in_the_name_of_a_data_set_is_taken_for_one() -> None:
    with pytest.raises(DataError, match="did you mean 'image_folder:PATH'"):
        prepared("", "image_foldr:photos")
    with pytest.raises(SourceError, match=r"there is no file other\.py"):
        prepared("", "other.py:Mine")
    with pytest.raises(SourceError, match="there is no module somewhere"):
        prepared("", "somewhere:Mine")
