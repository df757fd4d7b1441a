"""User-defined data sets: a class in a file or module of the user's own."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..sources import SourceError, load_own, read_source, why
from .errors import DataError, NoTestPartError
from .folders import ImageFolder
from .store import ArrayContents, DatasetInfo, Source, renumbered, stamp_with

_IMAGES = "images uint8 [N, C, H, W] with C = 1 or 3"
_LABELS = "labels, integers [N] from 0 on"
_FEWEST_CLASSES = 2


class OwnDataset:
    """A user-defined data set, as `file.py:Name` or `module:Name`.

    The class is constructed without arguments. It has either `folder()`, which returns the path of an image folder, or

    - `classes`: names of the classes, at least two;
    - `train()`: images uint8 [N, C, H, W] and labels, integers [N], as a pair of arrays;
    - `validation()` and `test()`, where there are such parts: the same;
    - `groups()`, where images belong together: integers [N] for those of `train()`; of no effect beside `validation()`.

    Without `test()` a fifth is withheld for tests: always the same images, as long as `train()` returns the same ones.
    What `train()` and `validation()` return is hashed anew at every start, and decides whether the cache holds;
    `test()` is called by the test alone.
    """

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self.info = DatasetInfo(name=reference, summary="user-defined data set", source=reference)

    def locate(self, data_dir: Path) -> Path | None:
        """Return the file with its code, or None."""
        try:
            return read_source(self._reference)[0]
        except SourceError:
            return None

    def find(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Call `train()` and `validation()`, or look into the image folder, see `Dataset.find`."""
        made, file = self._made()
        if hasattr(made, "folder"):
            return self._folder(made, file).find(data_dir, group_pattern)
        self._refuse(group_pattern)
        classes = self._classes(made)
        train = self._part(made, file, classes, "train")
        if hasattr(made, "validation"):
            contents = self._with_validation(train, self._part(made, file, classes, "validation"))
        else:
            contents = train if hasattr(made, "test") else train.withheld(test=False)
        return self._source(contents, "")

    def find_test(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Call `test()`, or take the fifth that is withheld, see `Dataset.find_test`."""
        made, file = self._made()
        if hasattr(made, "folder"):
            return self._folder(made, file).find_test(data_dir, group_pattern)
        self._refuse(group_pattern)
        classes = self._classes(made)
        if hasattr(made, "test"):
            return self._source(self._part(made, file, classes, "test"), "-test")
        if hasattr(made, "validation"):
            raise NoTestPartError(f"{self._reference} has no test part: it has validation(), but no test()")
        return self._source(self._part(made, file, classes, "train").withheld(test=True), "-test")

    def download(self, data_dir: Path) -> Path:
        """Return where its code lies, see `Dataset.download`."""
        found = self.locate(data_dir)
        if found is None:
            raise DataError(f"{self._reference} cannot be downloaded: it is a user-defined data set, and not there")
        return found

    def _made(self) -> tuple[Any, Path]:
        """Construct the data set; return it and the file with its code."""
        own = load_own(self._reference)
        if not isinstance(own.value, type):
            raise DataError(f"{self._reference} must be a class, but is a {type(own.value).__name__}")
        made = self._called(own.value, own.file, "cannot be made without arguments")
        if not (hasattr(made, "folder") or hasattr(made, "train")):
            raise DataError(
                f"{self._reference} must have folder(), which gives the path of an image folder, or classes and "
                f"train(), which gives {_IMAGES} and {_LABELS}"
            )
        return made, own.file

    def _called(self, call: Callable[[], Any], file: Path, what: str) -> Any:
        """Call user code; whatever it raises becomes a one-line DataError."""
        try:
            return call()
        except Exception as error:
            raise DataError(f"{self._reference} {what}{why(error, file)}") from error

    def _folder(self, made: Any, file: Path) -> ImageFolder:
        folder = self._called(made.folder, file, "fails in folder()")
        if not isinstance(folder, str | Path):
            raise DataError(f"folder() of {self._reference} must give a path, but gives a {type(folder).__name__}")
        return ImageFolder(str(folder))

    def _refuse(self, group_pattern: str | None) -> None:
        if group_pattern is not None:
            raise DataError(
                f"{self._reference} has no file names that the group pattern {group_pattern!r} could match: "
                "groups() says which images belong together"
            )

    def _classes(self, made: Any) -> tuple[str, ...]:
        given: Any = getattr(made, "classes", None)
        names: list[Any] = list(cast("list[Any]", given)) if isinstance(given, list | tuple) else []
        if len(names) < _FEWEST_CLASSES or len({*map(str, names)}) != len(names):
            raise DataError(
                f"classes of {self._reference} must be a list of names of at least two classes, each once, "
                f"but got {given!r}"
            )
        return tuple(map(str, names))

    def _part(self, made: Any, file: Path, classes: tuple[str, ...], part: str) -> ArrayContents:
        """Return images and labels of a part, checked; with groups if it is the one that may be split."""
        given = self._called(getattr(made, part), file, f"fails in {part}()")
        where = f"{part}() of {self._reference}"
        pair: list[Any] = list(cast("list[Any]", given)) if isinstance(given, list | tuple) else []
        if len(pair) != 2:  # noqa: PLR2004 - images, labels
            kind = type(cast("object", given)).__name__
            raise DataError(f"{where} must give a pair, {_IMAGES} and {_LABELS}, but gives a {kind}")
        images, labels = (np.asarray(array) for array in pair)
        is_images = images.dtype == np.uint8 and images.ndim == 4 and images.shape[1] in {1, 3}  # noqa: PLR2004 - N, C, H, W
        if not is_images or not images.size:
            raise DataError(f"{where} must give {_IMAGES}, but gives {images.dtype} {list(images.shape)}")
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (len(images),):
            raise DataError(
                f"{where} must give {_LABELS}, {len(images)} as there are images, but gives {labels.dtype} "
                f"{list(labels.shape)}"
            )
        counts = np.bincount(labels[(labels >= 0) & (labels < len(classes))], minlength=len(classes))
        if counts.sum() != len(labels):
            raise DataError(
                f"{where} must give labels in 0 to {len(classes) - 1}, but gives {labels.min()} to {labels.max()}"
            )
        if counts.min() == 0:
            raise DataError(f"{where} must have images of every class, but none of {classes[int(counts.argmin())]!r}")
        splits = part == "train" and not hasattr(made, "validation")
        return ArrayContents(
            images=np.ascontiguousarray(images),
            labels=labels.astype(np.int64),
            classes=classes,
            groups=self._groups(made, file, len(labels)) if splits else None,
        )

    def _groups(self, made: Any, file: Path, count: int) -> NDArray[np.int64] | None:
        if not hasattr(made, "groups"):
            return None
        groups = np.asarray(self._called(made.groups, file, "fails in groups()"))
        if not np.issubdtype(groups.dtype, np.integer) or groups.shape != (count,):
            raise DataError(
                f"groups() of {self._reference} must give integers [{count}], one for each image of train(), but gives "
                f"{groups.dtype} {list(groups.shape)}"
            )
        return renumbered(groups.astype(np.int64))

    def _with_validation(self, train: ArrayContents, validation: ArrayContents) -> ArrayContents:
        """Concatenate both parts."""
        if train.images.shape[1:] != validation.images.shape[1:]:
            raise DataError(
                f"images of {self._reference} must have one shape, but those of train() have "
                f"{list(train.images.shape[1:])} and those of validation() {list(validation.images.shape[1:])}"
            )
        return ArrayContents(
            images=np.concatenate([train.images, validation.images]),
            labels=np.concatenate([train.labels, validation.labels]),
            classes=train.classes,
            validation_start=len(train.labels),
        )

    def _source(self, contents: ArrayContents, suffix: str) -> Source:
        sha = hashlib.sha256(json.dumps([contents.classes, contents.images.shape, contents.validation_start]).encode())
        sha.update(contents.images.data)
        for indices in (contents.labels, contents.groups):
            sha.update(b"" if indices is None else indices.astype("<i8").tobytes())
        name = "own_" + self._reference.rpartition(":")[2]
        return Source(
            cache_name=f"{name}{suffix}",
            layout="own code",
            stamp=stamp_with(sha.hexdigest(), suffix or None),
            read=lambda: contents,
        )
