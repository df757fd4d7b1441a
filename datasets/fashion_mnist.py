"""Fashion-MNIST."""

import gzip
import shlex
import shutil
import tempfile
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .cache import stamp_files
from .class_folders import find_parts
from .contents import ArrayContents, Source
from .errors import DataError
from .values import DatasetInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_IMAGES, _LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


class FashionMnist:
    """Zalando's articles: 60,000 grey images of 28x28 pixels to train on. The official test files are never opened.

    Two layouts are read, the first that is there: as torchvision unpacks the files (`DIR/FashionMNIST/raw/train-*`,
    also as they are downloaded, with `.gz`), and class folders (`DIR/fashion_mnist/{train,val|valid}/CLASS/*`).
    """

    info = DatasetInfo(
        name="fashion_mnist",
        summary="articles of clothing, 60,000 grey images to train on",
        channels=1,
        image_size=28,
        classes=10,
        source="https://arxiv.org/abs/1708.07747",
        embedded=False,
        downloadable=True,
    )

    def locate(self, argument: str, data_dir: Path) -> Path | None:
        """The folder with torchvision's files, or with class folders."""
        del argument
        if _idx_files(data_dir) is not None:
            return _raw(data_dir)
        folders = _class_folders(data_dir)
        return folders if (folders / "train").is_dir() else None

    def find(self, argument: str, data_dir: Path) -> Source:
        """Find the training part, see `Dataset.find`."""
        files = _idx_files(data_dir)
        if files is not None:
            read = partial(_read_idx, *files)
            stamp = stamp_files(_raw(data_dir), files)
            return Source(cache_name="fashion_mnist", layout="torchvision", stamp=stamp, read=read)
        folders = self.locate(argument, data_dir)
        if folders is None:
            raise DataError(_missing(data_dir))
        return find_parts(folders, cache_name="fashion_mnist")

    def download(self, argument: str, data_dir: Path) -> Path:
        """Fetch all files through torchvision, see `Dataset.download`."""
        found = self.locate(argument, data_dir)
        if found is not None:
            return found
        from .torchvision_compat import FashionMNIST

        try:
            FashionMNIST(data_dir, download=True)
        except (OSError, RuntimeError, EOFError, zlib.error) as error:
            raise DataError(f"fashion_mnist cannot be downloaded to {str(data_dir)!r}: {error}") from error
        return _raw(data_dir)


def _raw(data_dir: Path) -> Path:
    return data_dir / "FashionMNIST" / "raw"


def _class_folders(data_dir: Path) -> Path:
    return data_dir / "fashion_mnist"


def _idx_files(data_dir: Path) -> tuple[Path, Path] | None:
    """The training images and labels as torchvision has them, unpacked or not, or None."""
    found = [
        next((file for file in (_raw(data_dir) / name, _raw(data_dir) / f"{name}.gz") if file.is_file()), None)
        for name in (_IMAGES, _LABELS)
    ]
    images, labels = found
    return None if images is None or labels is None else (images, labels)


def _missing(data_dir: Path) -> str:
    return (
        f"fashion_mnist is not in {str(data_dir)!r}: there is neither {str(_raw(data_dir) / _IMAGES)!r} with "
        f"{_LABELS} (as torchvision unpacks them; .gz will do) nor class folders "
        f"{str(_class_folders(data_dir) / 'train')!r}/CLASS/* (and val/CLASS/* beside it); fetch it with "
        f"`optrack dataset prepare fashion_mnist --download --data-dir {shlex.quote(str(data_dir))}`"
    )


def _read_idx(images_file: Path, labels_file: Path) -> ArrayContents:
    from .torchvision_compat import read_image_file, read_label_file

    images = _read_file(images_file, read_image_file).astype(np.uint8)[:, np.newaxis]
    labels = _read_file(labels_file, read_label_file).astype(np.int64)
    if len(images) != len(labels):
        raise DataError(f"{str(images_file)!r} has {len(images)} images, but {str(labels_file)!r} {len(labels)} labels")
    if len(labels) == 0 or labels.max() >= len(_CLASSES):
        raise DataError(f"{str(labels_file)!r} must have labels from 0 to {len(_CLASSES) - 1}, and at least one")
    return ArrayContents(images=images, labels=labels, classes=_CLASSES)


def _read_file(file: Path, reader: "Callable[[str], torch.Tensor]") -> "np.ndarray":
    """Read a file with one of torchvision's readers, which want the name of an unpacked file."""
    try:
        if file.suffix != ".gz":
            return reader(str(file)).numpy()
        with tempfile.NamedTemporaryFile() as unpacked:
            with gzip.open(file) as packed:
                shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            return reader(unpacked.name).numpy()
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(file)!r} is damaged, it cannot be read as an IDX file: {error}") from error
