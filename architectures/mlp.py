"""Multilayer perceptron on pixels."""

import math
from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn

from .blocks import check_image_size, hidden_layer
from .hyperparameters import BatchNormMomentum, Depth, Dropout, Width, WidthFactor


def hidden_widths(depth: int, width: int, width_factor: float) -> list[int]:
    """Give the widths of the hidden layers: each is the one before times the factor, rounded, at least 1.

    >>> hidden_widths(3, 512, 0.5)
    [512, 256, 128]
    """
    widths = [width]
    while len(widths) < depth:
        widths.append(max(1, round(widths[-1] * width_factor)))
    return widths


class MLP(nn.Module):
    """Hidden linear layers with relu, whose widths stay or shrink by a constant factor, then one to the logits.

    Source: D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating errors, Nature
    323, 1986; relu in place of the sigmoid (X. Glorot, A. Bordes, Y. Bengio, AISTATS 2011).

    Args:
        input_shape: Channels, height, width.
        classes: Number of classes.
        depth: Number of hidden layers.
        width: Units of the first hidden layer.
        width_factor: Width of each further hidden layer relative to the one before.
        batch_norm: Whether batch norm stands before each relu.
        bn_momentum: Of the batch norms; without effect when there are none.
        dropout: After each relu.

    Raises:
        ValueError: The image is empty.
    """

    minimum_image_size: ClassVar[int] = 1

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        depth: Depth = 2,
        width: Width = 256,
        width_factor: WidthFactor = 1.0,
        batch_norm: bool = False,
        bn_momentum: BatchNormMomentum = 0.1,
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        check_image_size("mlp", input_shape, self.minimum_image_size)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        inputs = math.prod(input_shape)
        for number, units in enumerate(hidden_widths(depth, width, width_factor), start=1):
            layers |= hidden_layer(
                number, inputs, units, batch_norm=batch_norm, bn_momentum=bn_momentum, dropout=dropout
            )
            inputs = units
        layers[f"fc{depth + 1}"] = nn.Linear(inputs, classes)
        self.layers = nn.Sequential(layers)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, C, H, W], to logits [B, classes]."""
        return self.layers(images)
