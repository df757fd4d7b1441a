"""Three blocks of two padded convolutions, with batch norm behind the relu and dropout of whole channels."""

from typing import ClassVar

from .blocks import FeatureNetwork, check_image_size, classifier, hidden_widths, paired_convolutions
from .hyperparameters import BatchNormMomentum, Dropout, Filters, HeadDepth, Init, Width, WidthFactor
from .initialisation import initialise

BLOCKS = 3


class ConvNetDeep(FeatureNetwork):
    """Three blocks of twice 3x3 convolution, relu and batch norm, then 2x2 max-pool; then linear layers.

    Source: K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015,
    arXiv:1409.1556, section 2.1; batch norm behind the relu after D. Mishkin, N. Sergievskiy, J. Matas, CVIU 161, 2017,
    arXiv:1606.02228; dropout of whole channels after J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C.
    Bregler, CVPR 2015, arXiv:1411.4280.

    Args:
        filters: of the first block's convolutions; each further block has twice as many.
        batch_norm: whether batch norm stands behind the relu of each convolution and hidden linear layer.
        bn_momentum: of the batch norms; without effect when there are none.
        head_depth: number of hidden linear layers.
        head_width: units of the first hidden linear layer.
        head_width_factor: width of each further hidden linear layer relative to the one before.
        dropout: of whole channels, behind the second relu of each block.
        init: how the weights are drawn.
    """

    minimum_image_size: ClassVar[int] = 2**BLOCKS

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        filters: Filters = 32,
        batch_norm: bool = True,
        bn_momentum: BatchNormMomentum = 0.1,
        head_depth: HeadDepth = 1,
        head_width: Width = 64,
        head_width_factor: WidthFactor = 0.5,
        dropout: Dropout = 0.0,
        init: Init = "default",
    ) -> None:
        super().__init__()
        check_image_size("convnet_deep", input_shape, self.minimum_image_size)
        channels, height, width = input_shape
        widths = [filters * 2 ** (number // 2) for number in range(2 * BLOCKS)]
        self.features = paired_convolutions(
            channels, widths, batch_norm=batch_norm, bn_momentum=bn_momentum, dropout=dropout
        )  # to [B, 4 * filters, H / 8, W / 8], rounded down
        positions = (height // self.minimum_image_size) * (width // self.minimum_image_size)
        self.classifier = classifier(
            widths[-1] * positions,
            classes,
            hidden_widths(head_depth, head_width, head_width_factor),
            batch_norm=batch_norm,
            bn_momentum=bn_momentum,
            relu_first=True,
        )
        initialise(self, init)
