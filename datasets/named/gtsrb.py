"""The German Traffic Sign Recognition Benchmark."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError, listed
from ..folders import FileContents, LabelledFiles, read_files
from ..store import DatasetInfo, Source, groups_of
from .named import NamedDataset
from .official import Part, official_source

_CLASSES = (
    *(f"Speed limit {limit}" for limit in (20, 30, 50, 60, 70, 80)),
    *("End of speed limit 80", "Speed limit 100", "Speed limit 120", "No overtaking", "No overtaking by trucks"),
    *("Right of way at crossing", "Priority road", "Give way", "Stop", "No vehicles", "No trucks", "No entry"),
    *("Danger", "Bend left", "Bend right", "Double bend", "Uneven road", "Slippery road", "Road narrows right"),
    *("Road works", "Traffic lights", "Pedestrians", "Children", "Bicycles", "Ice or snow", "Wild animals"),
    *("End of all limits", "Turn right ahead", "Turn left ahead", "Straight ahead", "Straight or right"),
    *("Straight or left", "Keep right", "Keep left", "Roundabout", "End of no overtaking"),
    "End of no overtaking by trucks",
)
_ROOT = Path("gtsrb", "GTSRB")
_TRAINING = _ROOT / "Training"
_TEST_IMAGES = _ROOT / "Final_Test" / "Images"
_TEST_TABLE = Path("gtsrb", "GT-final_test.csv")
_FOLDERS = tuple(f"{label:05}" for label in range(len(_CLASSES)))
_TRACK = r"^(.*\d{5})_\d{5}\.\w+$"  # CLASS/TTTTT_FFFFF.ppm: numbers of tracks start anew in every class
_NAME = re.compile(r"\d{5}/\d{5}_\d{5}\.ppm")


class GtsrbFiles:
    """`DIR/gtsrb/GTSRB/Training/CCCCC/TTTTT_FFFFF.ppm` with a GT-CCCCC.csv in each class folder.

    A training image's name starts with its track: the photographs taken of one sign in passing. The test part
    is `DIR/gtsrb/GTSRB/Final_Test/Images/*.ppm` with `DIR/gtsrb/GT-final_test.csv`.
    """

    def folder(self, data_dir: Path) -> Path:
        """Return where the files lie, see `Official.folder`."""
        return data_dir / _ROOT

    def expected(self, data_dir: Path, part: Part) -> str:
        """Name the folder with the images, see `Official.expected`."""
        if part == "train":
            return f"{str(data_dir / _TRAINING)!r} with {_FOLDERS[0]} to {_FOLDERS[-1]}"
        return f"{str(data_dir / _TEST_TABLE)!r} with {str(data_dir / _TEST_IMAGES)!r}"

    def is_there(self, data_dir: Path, part: Part) -> bool:
        """Whether its folder is there, and the table of the test part, see `Official.is_there`."""
        if part == "train":
            return (data_dir / _TRAINING).is_dir()
        return (data_dir / _TEST_IMAGES).is_dir() and (data_dir / _TEST_TABLE).is_file()

    def find(self, data_dir: Path, part: Part, cache_name: str) -> Source | None:
        """Find tables and images, see `Official.find`."""
        if not self.is_there(data_dir, part):
            return None
        if part == "train":
            root = data_dir / _TRAINING
            tables, images = _tables(root), [image for name in _FOLDERS for image in _images(root / name)]
            return official_source(
                data_dir, [*tables, *images], partial(_read_training, root, tables, images), cache_name
            )
        table, images = data_dir / _TEST_TABLE, _images(data_dir / _TEST_IMAGES)
        return official_source(data_dir, [table, *images], partial(_read_test, table, images), cache_name)

    def fetch(self, data_dir: Path) -> None:
        """Download both parts through torchvision, see `Official.fetch`."""
        from ...sources.torchvision_compat import datasets

        for part in ("train", "test"):
            datasets.GTSRB(data_dir, split=part, download=True)


def _images(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if name.endswith(".ppm")]  # noqa: PTH208  faster
    except OSError as error:
        raise DataError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error


def _tables(root: Path) -> list[Path]:
    missing = [name for name in _FOLDERS if not (root / name).is_dir()]
    if missing:
        raise DataError(f"{str(root)!r} lacks the class folders {listed(missing)}")
    tables = [root / name / f"GT-{name}.csv" for name in _FOLDERS]
    untold = [str(table.relative_to(root)) for table in tables if not table.is_file()]
    if untold:
        raise DataError(f"{str(root)!r} lacks the tables {listed(untold)}")
    return tables


def _read_training(root: Path, tables: Sequence[Path], images: Sequence[Path]) -> FileContents:
    told = [name for label, table in enumerate(tables) for name in _names_in_folder(table, label)]
    names = [f"{image.parent.name}/{image.name}" for image in images]
    _check_same(root, told, names)
    odd = [name for name in names if not _NAME.fullmatch(name)]
    if odd:
        raise DataError(f"images in {str(root)!r} must be named TTTTT_FFFFF.ppm, track and frame: {listed(odd)}")
    labels = np.array([int(name[:5]) for name in names], dtype=np.int64)
    files = LabelledFiles(root=root, files=images, labels=labels, classes=_CLASSES)
    return read_files(files, grey=False, groups=groups_of(names, _TRACK))


def _read_test(table: Path, images: Sequence[Path]) -> FileContents:
    rows = _rows(table)
    _check_same(table.parent, [name for name, _ in rows], [image.name for image in images])
    label = dict(rows)
    labels = np.array([label[image.name] for image in images], dtype=np.int64)
    return read_files(LabelledFiles(root=table.parent, files=images, labels=labels, classes=_CLASSES), grey=False)


def _names_in_folder(table: Path, label: int) -> list[str]:
    rows = _rows(table)
    odd = [name for name, told in rows if told != label]
    if odd:
        raise DataError(f"{str(table)!r} must have the class {label} alone, but has another for {listed(odd)}")
    return [f"{table.parent.name}/{name}" for name, _ in rows]


def _rows(table: Path) -> list[tuple[str, int]]:
    """Return file name and class of every row of a table."""
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = [(row["Filename"], int(row["ClassId"])) for row in csv.DictReader(stream, delimiter=";")]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{str(table)!r} must have the columns Filename and ClassId, split by ';': {error}") from error
    beyond = [f"{name} ({label})" for name, label in rows if not 0 <= label < len(_CLASSES)]
    if beyond or not rows:
        raise DataError(f"{str(table)!r} must have classes from 0 to {len(_CLASSES) - 1}: {listed(beyond) or 'none'}")
    return rows


def _check_same(folder: Path, told: Sequence[str], there: Iterable[str]) -> None:
    there = set(there)
    missing = [name for name in told if name not in there]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(told)} images in the tables of {str(folder)!r} are not there: {listed(missing)}"
        )
    more = sorted(there.difference(told))
    if more or len(told) != len(there):
        odd = more or [name for name, count in Counter(told).items() if count > 1]
        raise DataError(f"the tables of {str(folder)!r} must name every image once, but not so: {listed(odd)}")


GTSRB = NamedDataset(
    info=DatasetInfo(
        name="gtsrb",
        summary="German traffic signs, 39,209 images in 1,307 tracks to train on",
        channels=3,
        classes=len(_CLASSES),
        source="https://doi.org/10.1016/j.neunet.2012.02.016",
        usual_size=30,
    ),
    official=GtsrbFiles(),
    group_pattern=_TRACK,
)
"""Traffic signs, 43 classes, 15 to 250 pixels: 39,209 images to train on, 12,630 to test on; tracks are groups."""
