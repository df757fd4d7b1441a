"""The classification models of torchvision."""

import math
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn

from optrack.architectures import PretrainedWeightsError, UnknownArchitectureError, architecture
from optrack.architectures.torchvision_models import torchvision_class
from optrack.architectures.transfer import feature_blocks
from optrack.sources.torchvision_compat import models

# The smallest of each kind, with the number of its blocks.
KINDS = {
    "alexnet": 5,
    "convnext_tiny": 8,
    "densenet121": 8,
    "efficientnet_b0": 9,
    "googlenet": 12,
    "inception_v3": 16,
    "maxvit_t": 5,
    "mnasnet0_5": 10,
    "mobilenet_v2": 19,
    "mobilenet_v3_small": 13,
    "regnet_x_400mf": 5,
    "resnet18": 5,
    "shufflenet_v2_x0_5": 5,
    "squeezenet1_1": 9,
    "swin_t": 8,
    "vgg11": 8,
    "vgg11_bn": 8,
    "vit_b_32": 13,
}


def never(*arguments: object, **options: object) -> None:
    raise URLError("there is no network in tests")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty cache of weights, without a network behind it."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", never)
    return tmp_path / "checkpoints"


def whole_network(name: str) -> nn.Module:
    torch.manual_seed(3)
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    network = models.get_model(name, weights=None, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    return network


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_model_gives_logits_at_its_smallest_image(name: str, cache: Path) -> None:
    build = torchvision_class(name, name)
    size = build.minimum_image_size
    with torch.device("meta"):
        model = build((3, size, size), 7, pretrained=True, trainable_blocks=1, head_depth=1)
        logits = model(torch.empty(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert len(feature_blocks(model.features)) == KINDS[name]
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    in_blocks = [p for block in feature_blocks(model.features) for module in block for p in module.parameters()]
    assert 0 < len(model.feature_parameters()) < len(in_blocks)


def test_a_model_by_its_own_name_is_the_same_class() -> None:
    assert architecture("torchvision:resnet18") is architecture("resnet18")
    assert architecture("resnet18").__name__ == "resnet18"
    assert architecture("torchvision:resnet34").__name__ == "torchvision:resnet34"


def test_the_docstring_names_the_paper_in_one_line() -> None:
    text = torchvision_class("resnet18", "resnet18").__doc__
    assert text is not None
    assert (
        "Source: torchvision's resnet18: ResNet-18 from Deep Residual Learning for Image Recognition, https://" in text
    )


def test_an_unknown_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownArchitectureError) as caught:
        architecture("torchvision:ResNet19")
    assert str(caught.value).startswith(
        "unknown architecture 'torchvision:ResNet19'; nearest names: torchvision:resnet1"
    )


def test_a_position_embedding_takes_one_size_alone() -> None:
    with pytest.raises(ValueError, match=r"^torchvision:vit_b_32 needs images of 224 x 224 pixels, but got 32 x 32$"):
        torchvision_class("vit_b_32", "torchvision:vit_b_32")((3, 32, 32), 10)


def test_vgg_is_drawn_as_torchvision_draws_it() -> None:
    torch.manual_seed(0)
    model = torchvision_class("vgg11_bn", "vgg11_bn")((3, 32, 32), 10)
    for module in model.features.modules():
        if isinstance(module, nn.Conv2d):
            deviation = math.sqrt(2 / (module.out_channels * 9))
            assert float(module.weight.detach().std()) == pytest.approx(deviation, rel=0.05)
            assert module.bias is not None
            assert not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert module.running_var is not None
            assert (module.running_var == 1).all()


@pytest.mark.parametrize(
    ("name", "file", "head"),
    [
        ("mobilenet_v2", "mobilenet_v2-b0353104.pth", "classifier.1"),
        ("shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e.pth", "fc"),
        ("mnasnet0_5", "mnasnet0.5_top1_67.823-3ffadce67e.pth", "classifier.1"),
        ("densenet121", "densenet121-a639ec97.pth", "classifier"),
    ],
)
def test_with_pretrained_weights_the_features_are_those_of_the_whole_network(
    name: str, file: str, head: str, cache: Path
) -> None:
    network = whole_network(name)
    cache.mkdir()
    # The hash in the name is not that of the file: what lies in the cache is taken as it is.
    torch.save({old_name(key): value for key, value in network.state_dict().items()}, cache / file)
    model = torchvision_class(name, name)((3, 32, 32), 1000, pretrained=True, head_depth=0).eval()
    model.load_pretrained()
    linear = network.get_submodule(head)
    model.classifier.get_submodule("fc1").load_state_dict(linear.state_dict())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model(images), network(images))


def old_name(key: str) -> str:
    """Give the name that a weight of DenseNet has in its published file."""
    for kind in ("norm", "conv"):
        for number in (1, 2):
            key = key.replace(f".{kind}{number}.", f".{kind}.{number}.") if "denselayer" in key else key
    return key


def test_weights_that_are_nowhere_are_asked_for_with_file_folder_and_address(cache: Path) -> None:
    model = torchvision_class("mobilenet_v2", "mobilenet_v2")((3, 32, 32), 10, pretrained=True)
    with pytest.raises(PretrainedWeightsError) as caught:
        model.load_pretrained()
    assert str(caught.value) == (
        f"the pretrained weights of mobilenet_v2 are missing: put mobilenet_v2-b0353104.pth into {cache}, as "
        "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth could not be fetched "
        "(<urlopen error there is no network in tests>)"
    )


def test_weights_of_another_network_are_refused(cache: Path) -> None:
    cache.mkdir()
    torch.save(whole_network("shufflenet_v2_x0_5").state_dict(), cache / "mobilenet_v2-b0353104.pth")
    model = torchvision_class("mobilenet_v2", "mobilenet_v2")((3, 32, 32), 10, pretrained=True)
    with pytest.raises(PretrainedWeightsError, match=r"do not fit mobilenet_v2: 260 tensors are missing, such as"):
        model.load_pretrained()
