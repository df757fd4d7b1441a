"""LeNet with a third convolution, and filters that double."""

from typing import ClassVar

from .blocks import FeatureNetwork, check_image_size, classifier, hidden_widths
from .hyperparameters import BatchNormMomentum, Dropout, Filters, HeadDepth, Init, KernelSize, Width, WidthFactor
from .initialisation import initialise
from .lenet import POOLING, lenet_features

CONVOLUTIONS = 3


class LeNet3(FeatureNetwork):
    """Three padded convolutions, each with 2x2 max-pool and relu and twice the filters of the last, then linear layers.

    Source: A. Krizhevsky, cuda-convnet, 2011, in the form of Caffe's `cifar10_quick` (three padded 5x5 convolutions, a
    hidden linear layer of 64), with max-pools throughout, and filters 32, 64, 128 for 32, 32, 64.

    Args:
        filters: of the first convolution; each further one has twice as many.
        kernel_size: of all convolutions, padded by half of it.
        batch_norm: whether batch norm stands before the relu of each convolution and hidden linear layer.
        bn_momentum: of the batch norms; without effect when there are none.
        head_depth: number of hidden linear layers.
        head_width: units of the first hidden linear layer.
        head_width_factor: width of each further hidden linear layer relative to the one before.
        dropout: after each hidden linear layer, or on the features where there is none.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = POOLING**CONVOLUTIONS

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        filters: Filters = 32,
        kernel_size: KernelSize = 5,
        batch_norm: bool = False,
        bn_momentum: BatchNormMomentum = 0.1,
        head_depth: HeadDepth = 1,
        head_width: Width = 64,
        head_width_factor: WidthFactor = 0.5,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        check_image_size("lenet3", input_shape, self.minimum_image_size)
        channels, height, width = input_shape
        padding = kernel_size // 2
        widths = [filters * 2**number for number in range(CONVOLUTIONS)]
        kernels = [kernel_size] * CONVOLUTIONS
        self.features = lenet_features(
            channels, widths, kernels, batch_norm=batch_norm, bn_momentum=bn_momentum, padding=padding
        )  # to [B, 4 * filters, H / 8, W / 8], halves rounded down
        for _ in range(CONVOLUTIONS):  # an odd kernel keeps the size, an even one adds a pixel
            height, width = ((side + 2 * padding - kernel_size + 1) // POOLING for side in (height, width))
        self.classifier = classifier(
            widths[-1] * height * width,
            classes,
            hidden_widths(head_depth, head_width, head_width_factor),
            batch_norm=batch_norm,
            bn_momentum=bn_momentum,
            dropout=dropout,
        )
        initialise(self, init)
