"""Propose a first study on a folder of images from a survey of the folder; nothing is read."""

import math
import re
from dataclasses import dataclass

from ...datasets.folders import FolderSurvey

# The cost of an epoch decides: the largest number of images to search with, and the side that they get. Pretrained
# networks do best at the 224 pixels that they come from, even if images must be enlarged for it.
TRANSFER_SIZES = {"cpu": ((1_000, 224), (2_500, 192), (6_000, 160), (20_000, 128)), "cuda": ((50_000, 224),)}
SMALLEST_TRANSFER_SIZE = {"cpu": 96, "cuda": 160}
PRETRAINED_SIZE = 224
PHOTOGRAPH = 64
"""Shorter side in pixels from which an image counts as a photograph, with something for pretrained features to find."""
LARGEST_ENLARGEMENT = 2

SCRATCH_SIZES = (16, 64)
"""Smallest and largest side for networks from scratch alone; what LeNet needs, and what a core does quickly."""

TRANSFER_EPOCHS, SCRATCH_EPOCHS = 8, 20
LARGE = 10_000
"""Training images from which fewer epochs do: each has steps enough."""

BATCHES = (8, 256)
LEAST_STEPS = 6
"""Steps of an epoch at the largest batch size."""
MOST_PIXELS = {"cpu": 64 * 160**2, "cuda": 256 * 224**2}
"""Of a batch: a pretrained network that is trained whole keeps about 1.5 kB for each of them, on every worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A pretrained network, of which at most so many of the last feature blocks may train."""

    architecture: str
    most_blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A small convolutional network from scratch (`convnet`); `filters_2` are the least, the first and the most."""

    depth: int
    filters_1: int
    filters_2: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What to search, but for the number of trials.

    Args:
        validation: share of the training part to validate on; None if the folder has a validation part.
        batch_sizes: ascending.
        mirrored: whether it changes left and right.
        lenet: whether LeNet is searched beside it.
        transfer: the pretrained network; None if there is none, or images are too small for one.
        epochs: of a trial that is not stopped.
        patience: epochs without improvement after which a trial ends.
    """

    image_size: int
    validation: float | None
    batch_sizes: tuple[int, ...]
    augmentation: str
    mirrored: bool
    small: Small
    lenet: bool
    transfer: Transfer | None
    epochs: int
    patience: int


def wants_transfer(survey: FolderSurvey) -> bool:
    """Whether a pretrained network is worthwhile: images have as many pixels as a photograph."""
    return survey.short_side >= PHOTOGRAPH


def validation_share(survey: FolderSurvey) -> float:
    """Return the share of the training part to validate on: more of few images, and at least one of every class."""
    images = survey.images("train")
    share = 0.25 if images < 1_000 else 0.2 if images < LARGE else 0.15  # noqa: PLR2004 - a table
    fewest = min(survey.parts["train"].values())
    return max(share, math.ceil(100 / fewest) / 100)


def propose(survey: FolderSurvey, *, transfer: str | None, blocks: int, device: str) -> Proposal:
    """Propose a first study on a surveyed folder; `transfer` is an available pretrained architecture of `blocks`."""
    kind = "cuda" if device.startswith("cuda") else "cpu"
    pretrained = transfer if wants_transfer(survey) else None
    searched = survey.images("train", "validation")
    validation = None if "validation" in survey.parts else validation_share(survey)
    train = survey.images("train") - math.ceil(searched * (validation or 0))
    image_size = _scratch_size(survey) if pretrained is None else _transfer_size(survey, searched, kind)
    epochs = SCRATCH_EPOCHS if pretrained is None else TRANSFER_EPOCHS
    if train >= LARGE:
        epochs = epochs * 2 // 3
    mirrored = wants_transfer(survey) and not any(map(_tells_sides_apart, survey.classes))
    return Proposal(
        image_size=image_size,
        validation=validation,
        batch_sizes=_batch_sizes(train, image_size, kind),
        augmentation="stl10" if mirrored else "rotation_jitter",
        mirrored=mirrored,
        small=_small(image_size),
        lenet=pretrained is None,
        transfer=None
        if pretrained is None
        else Transfer(architecture=pretrained, most_blocks=_most_blocks(train, blocks)),
        epochs=epochs,
        patience=max(4, epochs // 3),
    )


def _transfer_size(survey: FolderSurvey, images: int, kind: str) -> int:
    sizes = [size for most, size in TRANSFER_SIZES[kind] if images <= most] + [SMALLEST_TRANSFER_SIZE[kind]]
    # In steps of 32, by which these networks reduce an image.
    return min(sizes[0], LARGEST_ENLARGEMENT * survey.short_side // 32 * 32)


def _scratch_size(survey: FolderSurvey) -> int:
    least, most = SCRATCH_SIZES
    return min(max(survey.short_side // 4 * 4, least), most)


def _batch_sizes(train: int, image_size: int, kind: str) -> tuple[int, ...]:
    least, most = BATCHES
    most = min(most, train // LEAST_STEPS, MOST_PIXELS[kind] // image_size**2)
    largest = least
    while largest * 2 <= most:
        largest *= 2
    # Sizes below 16 make batch norm's averages noisy, so they are only for the smallest sets.
    return tuple(size for size in (largest // 4, largest // 2, largest) if size >= min(16, largest))


def _small(image_size: int) -> Small:
    """Size the small network: blocks down to about 5 pixels; few filters for large images, whose first blocks cost."""
    depth = max(1, round(math.log2(image_size / 5)))
    if image_size > 2 * SCRATCH_SIZES[1]:
        return Small(depth=depth, filters_1=8, filters_2=(16, 32, 64))
    return Small(depth=depth, filters_1=32, filters_2=(32, 64, 128))


def _most_blocks(train: int, blocks: int) -> int:
    """Return the last third for few images: the first blocks cost most, and see edges and colours in any photograph."""
    share = 1 / 3 if train < 1_000 else 2 / 3 if train < 5_000 else 1.0  # noqa: PLR2004 - a table
    return max(1, math.floor(blocks * share))


def _tells_sides_apart(name: str) -> bool:
    """Whether a class's name says left or right, so that a mirrored image would have a wrong label.

    >>> _tells_sides_apart("turn_left"), _tells_sides_apart("bright")
    (True, False)
    """
    return re.search(r"(?<![a-z])(left|right)(?![a-z])", name.lower()) is not None
