"""Grey images in the four IDX files that MNIST and its successors come in."""

import gzip
import math
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..store import ArrayContents
from .official import PartFiles, labelled

_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_UNSIGNED_BYTES = 8  # how IDX files name the type of their entries


def idx_files(name: str, classes: tuple[str, ...]) -> PartFiles:
    """Return the layout `DIR/NAME/raw/train-*` and `t10k-*`, unpacked or as they are downloaded, with `.gz`."""
    return PartFiles(
        place=f"{name}/raw",
        names={
            "train": (f"train-{_IMAGES}", f"train-{_LABELS}"),
            "test": (f"t10k-{_IMAGES}", f"t10k-{_LABELS}"),
        },
        others={
            "train": f" with train-{_LABELS} (.gz will do)",
            "test": f" with t10k-{_LABELS} (.gz will do)",
        },
        read=partial(_read, classes),
        fetch=partial(_download, name),
    )


def _download(name: str, data_dir: Path) -> None:
    from ...sources.torchvision_compat import datasets

    getattr(datasets, name)(data_dir, download=True)


def _read(classes: tuple[str, ...], files: Sequence[Path]) -> ArrayContents:
    images_file, labels_file = files
    images = _read_file(images_file, dimensions=3)[:, np.newaxis]
    labels = _read_file(labels_file, dimensions=1).astype(np.int64)
    return labelled(images, labels, classes, (images_file, labels_file))


def _read_file(file: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: two zeros, type, number of dimensions, the sizes (big-endian), the entries.

    Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(file)!r} is damaged, it cannot be read: {error}") from error
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start].ljust(start - 4, b"\0"), dtype=">u4").tolist()
    if content[:4] != bytes([0, 0, _UNSIGNED_BYTES, dimensions]) or len(content) - start != math.prod(shape):
        raise DataError(f"{str(file)!r} is damaged, it is not an IDX file of bytes in {dimensions} dimensions")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
