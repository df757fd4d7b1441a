"""Images as one resident uint8 tensor, batched on the device without worker processes or copies."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...datasets import SearchData

Augment = Callable[[Tensor], Tensor]
"""Maps images uint8 [B, C, H, W] to images of the same shape, uint8 or float32 in 0 to 255."""


class Normalisation(nn.Module):
    """Maps grey levels to mean 0 and deviation 1 over the training images: one for training, use and ONNX.

    Args:
        mean: per channel, in [0, 1].
        std: per channel, in [0, 0.5]; at least one grey level is used, so that nothing is divided by 0.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", self._in_grey_levels(mean))
        self.register_buffer("deviation", self._in_grey_levels(std).clamp_min(1.0))

    @staticmethod
    def _in_grey_levels(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) * 255

    def forward(self, images: Tensor) -> Tensor:
        """Map grey levels [B, C, H, W], uint8 or float32 in 0 to 255, to float32 of the same shape."""
        return (images.to(torch.float32) - self.mean) / self.deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentImages:
    """All images of a trial, on its device.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        train: int64 [n_train], positions of the training images.
        validation: int64 [n_validation], positions of the validation images.
        normalise: by the training images' mean and deviation.
        classes: their number.
    """

    images: Tensor
    labels: Tensor
    train: Tensor
    validation: Tensor
    normalise: Normalisation
    classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def batch(self, positions: Tensor, augment: Augment | None = None) -> tuple[Tensor, Tensor]:
        """Return the normalised images float32 [B, C, H, W], channels last in memory, and the labels int64 [B].

        Args:
            positions: int64 [B].
            augment: applied before the images are normalised; None for validation.
        """
        images = self.images[positions]
        if augment is not None:
            images = augment(images)
        images = images.to(torch.float32, memory_format=torch.channels_last)
        return self.normalise(images), self.labels[positions]


def resident(data: SearchData, device: torch.device) -> ResidentImages:
    """Return a search's data on a device; on the CPU the images stay the memory-mapped file that all workers share."""
    return ResidentImages(
        images=_tensor(data.images, device),
        labels=_tensor(data.labels, device),
        train=_tensor(data.train, device),
        validation=_tensor(data.validation, device),
        normalise=Normalisation(data.mean, data.std).to(device),
        classes=len(data.classes),
    )


def _tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # The arrays are read-only so that no worker changes what all share; nothing here writes to these tensors.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
