"""The classification models of torchvision, each as a network with a new head."""

import re
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from ..sources.errors import unknown
from ..sources.torchvision_compat import classification_models, models
from .errors import UnknownArchitectureError
from .pretrained_weights import fetch, load_into, read
from .transfer import Backbone, TransferModel, before_kernels, transfer_class

HEAD_DEPTHS = {"mobilenet_v2": 2, "vgg11_bn": 2}  # of the hand-tuned references; all others have one linear layer
HEADS = ("classifier", "fc", "head", "heads")  # torchvision's names for the head; a model has one of them
AUXILIARY = ("aux1", "aux2", "AuxLogits")  # intermediate heads, for training on ImageNet only
FIXED_IMAGE_SIZE = ("vit_", "maxvit_")  # position embeddings and windows are made for one size


@cache
def torchvision_class(model: str, name: str) -> type[TransferModel]:
    """Return the class of a torchvision model.

    Pretrained weights are the first published ones (IMAGENET1K_V1), where there are some: those of the original
    recipe, as in most papers that compare with them.
    """
    names = classification_models()
    if model not in names:
        known = (f"torchvision:{name}" for name in names)
        raise UnknownArchitectureError(unknown("architecture", f"torchvision:{model}", known))
    return transfer_class(
        Backbone(
            name=name,
            source=f"torchvision's {model}: {_source(model)}",
            minimum_image_size=max(_weights(model).meta["min_size"]),
            fixed_image_size=model.startswith(FIXED_IMAGE_SIZE),
            head_depth=HEAD_DEPTHS.get(model, 0),
            build=partial(_network, model),
            load=partial(_load, name, model),
        )
    )


def _weights(model: str) -> Any:
    """Return the first published weights, as torchvision describes them."""
    versions = {version.name: version for version in models.get_model_weights(model)}
    return versions.get("IMAGENET1K_V1", next(iter(versions.values())))


def _source(model: str) -> str:
    """Return the paper in one line, from the first paragraph of the docstring of torchvision's model."""
    paragraph = (models.get_model_builder(model).__doc__ or "").strip().split("\n\n")[0]
    return re.sub(r"`([^`<]*?)\s*<([^>]*)>`_{1,2}", r"\1, \2", " ".join(paragraph.split()))


def _network(model: str, pretrained: bool) -> nn.Module:  # noqa: FBT001 - as `Backbone.build` is called
    network = _whole_network(model, pretrained)
    head = next(name for name in HEADS if hasattr(network, name))
    layers = getattr(network, head)
    setattr(network, head, nn.Sequential(*before_kernels(layers.children() if list(layers.children()) else [layers])))
    if model.startswith("squeezenet"):
        network.classifier = nn.AdaptiveAvgPool2d(1)  # its head pools behind the last convolution
    elif hasattr(network, "avgpool"):
        network.avgpool = nn.AdaptiveAvgPool2d(1)  # to 1 x 1 already, but in VGG and AlexNet
    return network


def _whole_network(model: str, pretrained: bool) -> nn.Module:  # noqa: FBT001 - as above
    if model.startswith("vgg"):
        return _vgg(model)
    options: dict[str, Any] = {}
    if model in {"googlenet", "inception_v3"}:
        # The published weights want images in [-1, 1]; torchvision converts them from ImageNet's mean and deviation.
        options = {"aux_logits": False, "init_weights": False, "transform_input": pretrained}
    if model.startswith("vit_"):
        options = {"image_size": max(_weights(model).meta["min_size"])}
    try:
        return models.get_model(model, weights=None, **options)
    except NotImplementedError:
        # RegNet reads its widths out of tensors while it is built, and tensors on the meta device have no numbers.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            network = models.get_model(model, weights=None, **options)
        return network.to("meta")


def _vgg(model: str) -> nn.Module:
    """Build a VGG and allocate only its features: its own head has 124 million weights that we do not need."""
    with torch.device("meta"):
        network = models.get_model(model, weights=None)
    features = network.get_submodule("features").to_empty(device=torch.get_default_device())
    for layer in features.children():  # as torchvision draws them
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None  # noqa: S101 - VGG's convolutions have one
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    return network


def _load(name: str, model: str, network: nn.Module) -> None:
    file = fetch(name, _weights(model).url)
    state = network.state_dict()
    weights = {_present_key(key): tensor for key, tensor in read(name, file).items()}
    of_the_network = {
        key: tensor
        for key, tensor in weights.items()
        if key in state or key.split(".")[0] not in (*HEADS, *AUXILIARY)  # the rest is its own head
    }
    load_into(network, of_the_network, name, file)


def _present_key(key: str) -> str:
    """Return a weight's current name: DenseNet's files say `norm.1` for what is now `norm1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", key)
