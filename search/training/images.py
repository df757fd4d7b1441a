"""Images as one resident uint8 tensor, batched on the device: no worker processes, no copies but the batch."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ...datasets import SearchData

Augment = Callable[[Tensor], Tensor]
"""From images uint8 [B, C, H, W] to images of the same shape, uint8 or float32 in 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentImages:
    """All images that a trial may see, on its device.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        train: int64 [n_train], positions of the training images.
        validation: int64 [n_validation], positions of the validation images.
        mean: float32 [1, C, 1, 1], of the training images in units of a grey level.
        deviation: float32 [1, C, 1, 1], likewise, at least one grey level.
        classes: number of classes.
    """

    images: Tensor
    labels: Tensor
    train: Tensor
    validation: Tensor
    mean: Tensor
    deviation: Tensor
    classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def batch(self, positions: Tensor, augment: Augment | None = None) -> tuple[Tensor, Tensor]:
        """A batch.

        Args:
            positions: int64 [B].
            augment: changes the images before they are normalised; None for validation.

        Returns:
            Normalised images float32 [B, C, H, W], channels last in memory, and their labels int64 [B].
        """
        images = self.images[positions]
        if augment is not None:
            images = augment(images)
        images = images.to(torch.float32, memory_format=torch.channels_last)
        return (images - self.mean) / self.deviation, self.labels[positions]


def resident(data: SearchData, device: torch.device) -> ResidentImages:
    """The data of a search on a device; on the CPU the images stay the memory-mapped file that all workers share."""

    def per_channel(values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1) * 255

    return ResidentImages(
        images=_tensor(data.images, device),
        labels=_tensor(data.labels, device),
        train=_tensor(data.train, device),
        validation=_tensor(data.validation, device),
        mean=per_channel(data.mean),
        deviation=per_channel(data.std).clamp_min(1.0),
        classes=len(data.classes),
    )


def _tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # The arrays are read-only so that no worker changes what all share; nothing here writes to a tensor of them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
