"""Library networks with a new head: fixed, trained in their last blocks, or trained whole."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from .blocks import check_image_size, classifier, hidden_widths
from .hyperparameters import BatchNormMomentum, Dropout, HeadDepth, Width, WidthFactor

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
OPENED = frozenset({"features", "layers", "blocks", "encoder", "stages", "trunk_output"})
"""Names that libraries give to modules that hold the blocks in their order and do little else."""


@runtime_checkable
class Transferable(Protocol):
    """What an architecture that can start from pretrained weights offers to training, beside being a module.

    Training calls `load_pretrained` once, after the constructor and before the optimizer is made; where there are other
    weights to load (a checkpoint), not at all. `feature_parameters` are the trainable parameters that come with the
    pretrained weights: training may give them a learning rate of their own, usually a lower one than that of the head,
    which starts from random weights. All other trainable parameters belong to the head.
    """

    def load_pretrained(self) -> None:
        """Load the pretrained weights, from the cache or else the network; do nothing if none are requested.

        Raises:
            PretrainedWeightsError: they are not available, or do not fit.
        """
        ...

    def feature_parameters(self) -> list[nn.Parameter]:
        """Return the trainable parameters of the pretrained part; none if it is fixed, or not asked for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network of a library without its head.

    Attributes:
        source: paper or project, for the docstring.
        fixed_image_size: whether it takes only square images of that size.
        build: builds it with random weights, on torch's default device; the argument says whether pretrained weights
            will be loaded. It maps [B, 3, H, W] to [B, F] or [B, F, 1, 1].
        load: loads the pretrained weights into it, or raises PretrainedWeightsError.
    """

    name: str
    source: str
    minimum_image_size: int
    fixed_image_size: bool
    head_depth: int
    build: Callable[[bool], nn.Module]
    load: Callable[[nn.Module], None]


def feature_blocks(network: nn.Module) -> list[list[nn.Module]]:
    """Split a network into blocks in the order in which they run, those nearest the image first.

    A block starts with each child of the network that holds a matrix or a kernel, be it a single convolution or a
    whole stage; children that follow without one (norms, activations, pools) belong to it. Children that only hold the
    blocks (`OPENED`) count as their children.

    >>> conv = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> [[type(module).__name__ for module in block] for block in feature_blocks(conv)]
    [['Conv2d', 'ReLU'], ['Conv2d', 'BatchNorm2d', 'ReLU']]
    """
    blocks: list[list[nn.Module]] = [[]]
    for module in _opened(network):
        if _has_kernel(module) and any(_has_kernel(other) for other in blocks[-1]):
            blocks.append([])
        blocks[-1].append(module)
    return blocks


def _opened(network: nn.Module) -> Iterator[nn.Module]:
    for name, child in network.named_children():
        if name in OPENED:
            yield from _opened(child)
        else:
            yield child


def _has_kernel(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())


def before_kernels(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """Return the layers before the first one with a matrix, a kernel or dropout: the part of a head to keep."""
    return list(takewhile(lambda layer: not (_has_kernel(layer) or isinstance(layer, nn.Dropout)), layers))


class TransferModel(nn.Module):
    """A library network (`features`) with a new head (`classifier`); subclasses say which network."""

    minimum_image_size: ClassVar[int]
    features: nn.Module
    classifier: nn.Sequential
    pretrained: bool
    _load: Callable[[nn.Module], None]
    _frozen_blocks: int

    def train(self, mode: bool = True) -> "TransferModel":  # noqa: FBT001, FBT002 - torch's signature
        """Switch to training or inference; fixed blocks stay in inference, so that their batch norms do not change."""
        super().train(mode)
        blocks = feature_blocks(self.features)
        fixed = blocks[: self._frozen_blocks] if self._frozen_blocks < len(blocks) else [[self.features]]
        for module in chain.from_iterable(fixed):
            module.eval()
        return self

    def load_pretrained(self) -> None:
        """Load the pretrained weights if they are requested, see `Transferable`."""
        if self.pretrained:
            self._load(self.features)

    def feature_parameters(self) -> list[nn.Parameter]:
        """Return the trainable parameters of the network without the head; none unless they are pretrained."""
        return [parameter for parameter in self.features.parameters() if self.pretrained and parameter.requires_grad]

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float32 [B, 1 or 3, H, W], to logits [B, classes]."""
        features = self.features(images.expand(-1, 3, -1, -1))  # [B, F] or [B, F, 1, 1]
        return self.classifier(features)


def check_input(backbone: Backbone, input_shape: tuple[int, int, int]) -> None:
    """Refuse images that the network cannot take."""
    channels, height, width = input_shape
    side = backbone.minimum_image_size
    if backbone.fixed_image_size and (height, width) != (side, side):
        raise ValueError(f"{backbone.name} needs images of {side} x {side} pixels, but got {height} x {width}")
    check_image_size(backbone.name, input_shape, side)
    if channels not in {1, 3}:
        raise ValueError(f"{backbone.name} needs images of 1 or 3 channels, but got {channels}")


def freeze_all_but(network: nn.Module, trainable_blocks: int, *, name: str) -> None:
    """Freeze all but the last blocks; parameters outside of blocks train when all blocks do."""
    blocks = feature_blocks(network)
    if not 0 <= trainable_blocks <= len(blocks):
        raise ValueError(f"trainable_blocks must lie in [0, {len(blocks)}] for {name}, but got {trainable_blocks}")
    if trainable_blocks < len(blocks):
        network.requires_grad_(requires_grad=False)
        for module in chain.from_iterable(blocks[len(blocks) - trainable_blocks :]):
            module.requires_grad_(requires_grad=True)


def batch_norms(network: nn.Module) -> Iterator[BatchNorm]:
    """Return the batch norms of a network."""
    for module in network.modules():
        if isinstance(module, BatchNorm):
            yield module


def transfer_class(backbone: Backbone) -> type[TransferModel]:
    """Build the class of a network: its signature says how many blocks it has, and its batch norms' own momentum."""
    side = backbone.minimum_image_size
    with torch.device("meta"), torch.no_grad():
        network = backbone.build(False).eval()
        features = network(torch.empty(1, 3, side, side)).shape[1]
    blocks = len(feature_blocks(network))
    own_momentum = next((norm.momentum for norm in batch_norms(network) if norm.momentum), 0.1)

    class Model(TransferModel):
        minimum_image_size: ClassVar[int] = backbone.minimum_image_size

        def __init__(
            self,
            input_shape: tuple[int, int, int],
            classes: int,
            *,
            pretrained: bool = False,
            trainable_blocks: Annotated[int, Ge(0), Le(blocks)] = blocks,
            bn_momentum: BatchNormMomentum = own_momentum,
            head_depth: HeadDepth = backbone.head_depth,
            head_width: Width = 512,
            head_width_factor: WidthFactor = 0.5,
            dropout: Dropout = 0.0,
        ) -> None:
            super().__init__()
            check_input(backbone, input_shape)
            self.pretrained = pretrained
            self._load = backbone.load
            self.features = backbone.build(pretrained)
            for norm in batch_norms(self.features):
                norm.momentum = bn_momentum
            freeze_all_but(self.features, trainable_blocks, name=backbone.name)
            self._frozen_blocks = blocks - trainable_blocks
            widths = hidden_widths(head_depth, head_width, head_width_factor)
            self.classifier = classifier(features, classes, widths, dropout=dropout)
            self.train()

    Model.__name__ = Model.__qualname__ = backbone.name
    Model.__doc__ = DOCUMENTATION.format(name=backbone.name, source=backbone.source, blocks=blocks)
    return Model


DOCUMENTATION = """{name} with a new head, from random or pretrained weights, trained whole or in part.

Source: {source}

Images have 1 or 3 channels; grey ones are repeated over all three. Features are averaged over all positions.

Args:
    pretrained: whether training starts from weights that were learned on ImageNet.
    trainable_blocks: how many of the last of the {blocks} feature blocks train: 0 for a fixed extractor of features,
        {blocks} for all. Fixed blocks take no gradient, and their batch norms stay in inference.
    bn_momentum: of the batch norms of the feature blocks that train; without effect when there are none.
    head_depth: number of hidden linear layers of the head.
    head_width: units of the first hidden linear layer.
    head_width_factor: width of each further hidden linear layer relative to the one before.
    dropout: after each hidden linear layer, or on the features where there is none.
"""
