"""Multinomial logistic regression on pixels."""

import math
from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn

from .blocks import check_image_size
from .hyperparameters import Dropout, Init
from .initialisation import initialise


class Logistic(nn.Module):
    """One linear layer from pixels to logits: the floor that every other architecture has to beat.

    Source: C. M. Bishop, Pattern Recognition and Machine Learning, 2006, section 4.3.4.

    Args:
        dropout: on the pixels.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = 1

    def __init__(
        self, input_shape: tuple[int, int, int], classes: int, *, dropout: Dropout = 0.0, init: Init = "default"
    ) -> None:
        super().__init__()
        check_image_size("logistic", input_shape, self.minimum_image_size)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        if dropout > 0:
            layers["dropout"] = nn.Dropout(dropout)
        layers["fc"] = nn.Linear(math.prod(input_shape), classes)
        self.layers = nn.Sequential(layers)
        initialise(self, init)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, C, H, W], to logits [B, classes]."""
        return self.layers(images)
