"""Classify image files with a champion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...datasets.folders import SUFFIXES
from ...datasets.store import all_cores, mapped, pillow_warnings_settled
from ..errors import StudyError
from .champion import Champion

BATCH = 64
RANKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The most probable classes of an image file with their probabilities in [0, 1], the best first."""

    file: Path
    ranking: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableImage:
    """An image file that could not be read; the reason is one line, with the file's name."""

    file: Path
    reason: str


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Return all given files, whatever their names, and all files with an image suffix in given folders, each once.

    Raises:
        StudyError: a path does not exist, or a folder has no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not inside:
                raise StudyError(f"there is no image in {path}: looked for {', '.join(sorted(SUFFIXES))}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise StudyError(f"there is no file or folder {path}")
    return list(dict.fromkeys(found))


def predict(champion: Champion, files: Sequence[Path]) -> Iterator[Prediction | UnreadableImage]:
    """Yield the most probable classes of images of any size and mode, in the order of the files, batch by batch."""

    def prepared(file: Path) -> NDArray[np.uint8] | UnreadableImage:
        try:
            return champion.prepare_images([file])
        except StudyError as error:
            return UnreadableImage(file=file, reason=str(error))

    with all_cores() as pool:
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            with pillow_warnings_settled():
                images = mapped(pool, prepared, batch)
            readable = [image for image in images if not isinstance(image, UnreadableImage)]
            rows = iter(champion.probabilities(np.concatenate(readable)) if readable else ())
            for file, image in zip(batch, images, strict=True):
                if isinstance(image, UnreadableImage):
                    yield image
                else:
                    yield Prediction(file=file, ranking=ranking_of(champion.classes, next(rows), RANKS))


def ranking_of(classes: Sequence[str], probabilities: NDArray[np.float32], count: int) -> tuple[tuple[str, float], ...]:
    """Return the `count` most probable of probabilities float32 [classes], the best first; of equals the first one."""
    best: list[int] = np.argsort(-probabilities, kind="stable")[:count].tolist()
    return tuple((classes[index], float(probabilities[index])) for index in best)
