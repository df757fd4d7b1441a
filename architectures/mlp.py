"""Multilayer perceptron on pixels."""

import math
from typing import ClassVar

from torch import Tensor, nn

from .blocks import check_image_size, classifier, hidden_widths
from .hyperparameters import BatchNormMomentum, Depth, Dropout, Init, Repeats, Width, WidthFactor
from .initialisation import initialise


class MLP(nn.Module):
    """Hidden linear layers with relu, whose widths stay or shrink by a constant factor, then one to the logits.

    Source: D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating errors, Nature
    323, 1986; relu in place of the sigmoid (X. Glorot, A. Bordes, Y. Bengio, AISTATS 2011).

    With depth 5, width 512, width_factor 0.5 and repeats 2 the hidden widths are 512, 512, 256, 256, 128.

    Args:
        depth: number of hidden layers.
        width: units of the first hidden layer.
        width_factor: what the width is multiplied by, each time that it changes.
        repeats: number of hidden layers in a row before the width changes.
        batch_norm: whether batch norm stands before each relu.
        bn_momentum: of the batch norms; without effect when there are none.
        dropout: after each relu.
        init: how the weights are drawn.
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
        repeats: Repeats = 1,
        batch_norm: bool = False,
        bn_momentum: BatchNormMomentum = 0.1,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        check_image_size("mlp", input_shape, self.minimum_image_size)
        self.layers = classifier(
            math.prod(input_shape),
            classes,
            hidden_widths(depth, width, width_factor, repeats),
            batch_norm=batch_norm,
            bn_momentum=bn_momentum,
            dropout=dropout,
        )
        initialise(self, init)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, C, H, W], to logits [B, classes]."""
        return self.layers(images)
