"""CIFAR's batches: pickle files that are read without running anything that they name.

A pickle is a program: it may call any function that it names. Here it finds none but those that rebuild a NumPy array,
and instead of NumPy's own it gets stand-ins that keep what they are told, which is then checked like any other input.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

_SHAPE = (3, 32, 32)
_ROW = 3 * 32 * 32


def read_batch(file: Path, *, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images, uint8 [N, 3, 32, 32], and labels, int64 [N], of one batch."""
    try:
        with file.open("rb") as stream:
            content = _Unpickler(stream, _stand_ins()).load()
        entries: dict[str, Any] = {_text(key): value for key, value in content.items()}
        images, labels = _pixels(entries["data"]), np.array(entries["labels"], dtype=np.int64)
    except Exception as error:
        raise DataError(f"{str(file)!r} is damaged, or not a batch of CIFAR-10: {_reason(error)}") from error
    if labels.shape != (len(images),) or not len(labels):
        raise DataError(f"{str(file)!r} must have a label for each image, but has {len(images)} images, {labels.size}")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{str(file)!r} must have labels from 0 to {classes - 1}")
    return images, labels


class _Unpickler(pickle.Unpickler):
    """Reads dicts, lists, bytes, str and numbers; of what a pickle may name, the given stand-ins alone."""

    def __init__(self, stream: BinaryIO, known: Mapping[tuple[str, str], Callable[..., object]]) -> None:
        super().__init__(stream, encoding="bytes")
        self._known = known

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return the stand-in for a name."""
        try:
            return self._known[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}, which no batch does") from None


def _stand_ins() -> dict[tuple[str, str], Callable[..., object]]:
    """Make stand-ins for one file, so that nothing a pickle does to them outlives it."""

    class Dtype:
        def __init__(self, code: object, *_: object) -> None:
            self.code = code

        def __setstate__(self, state: object) -> None:
            pass

    class Array:
        def __init__(self, *_: object) -> None:
            self.state: object = None

        def __setstate__(self, state: object) -> None:
            self.state = state

    def from_buffer(buffer: object, dtype: object, shape: object, order: object) -> Array:
        array = Array()
        array.state = (1, shape, dtype, order != "C", buffer)
        return array

    known: dict[tuple[str, str], Callable[..., object]] = {
        ("numpy", "dtype"): Dtype,
        ("numpy", "ndarray"): Array,
        ("_codecs", "encode"): _latin1,
    }
    for package in ("numpy.core", "numpy._core"):
        known[f"{package}.multiarray", "_reconstruct"] = Array
        known[f"{package}.numeric", "_frombuffer"] = from_buffer
    return known


def _latin1(text: str, encoding: str) -> bytes:
    """Encode text as Python 3 does for bytes in pickles of Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding!r}, which no batch does")
    return text.encode("latin1")


def _pixels(array: Any) -> NDArray[np.uint8]:
    _, shape, dtype, by_columns, buffer = array.state
    if _text(dtype.code) not in {"u1", "|u1"} or by_columns or len(shape) != 2 or shape[1] != _ROW:  # noqa: PLR2004
        raise ValueError(f"its data must be uint8 [N, {_ROW}], but are {_text(dtype.code)} {tuple(shape)}")
    return np.frombuffer(buffer, dtype=np.uint8).reshape(shape[0], *_SHAPE)


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
