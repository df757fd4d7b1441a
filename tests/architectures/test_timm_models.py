"""The models of timm; a stand-in takes its place, so that these tests need no extra."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from optrack.architectures import MissingLibraryError, PretrainedWeightsError, UnknownArchitectureError, architecture
from optrack.architectures.timm_models import timm_class


def network(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
    """Make what timm would: without classes a network ends at its pooled features."""
    assert num_classes == 0
    if pretrained and name == "unreachable":
        raise OSError("no route\nto the hub")
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if pretrained:
        nn.init.ones_(layers[0].weight)  # type: ignore[arg-type]
    return layers


def settings(name: str) -> Any:
    return SimpleNamespace(
        fixed_input_size=name == "vit",
        input_size=(3, 224, 224),
        min_input_size=(3, 48, 48) if name == "large" else None,
        hf_hub_id=f"timm/{name}",
        url="",
    )


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module: Any = ModuleType("timm")
    module.list_models = lambda: ["net", "vit", "large", "unreachable"]
    module.list_pretrained = lambda: ["net.tag"]
    module.get_pretrained_cfg = settings
    module.create_model = network
    monkeypatch.setitem(sys.modules, "timm", module)
    timm_class.cache_clear()
    yield
    timm_class.cache_clear()


@pytest.mark.usefixtures("timm")
def test_a_model_of_timm_stands_behind_a_new_head() -> None:
    model = architecture("timm:net")((3, 32, 32), 5)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    assert architecture("timm:net.tag").__name__ == "timm:net.tag"


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(("name", "size"), [("net", 32), ("vit", 224), ("large", 48)])
def test_the_smallest_image_is_what_timm_states(name: str, size: int) -> None:
    assert timm_class(name, f"timm:{name}").minimum_image_size == size


@pytest.mark.usefixtures("timm")
def test_pretrained_weights_come_from_timm() -> None:
    model = timm_class("net", "timm:net")((3, 32, 32), 5, pretrained=True)
    model.load_pretrained()
    assert (model.features.get_submodule("0").get_parameter("weight") == 1).all()


@pytest.mark.usefixtures("timm")
def test_weights_that_timm_cannot_get_are_said_in_one_line() -> None:
    model = timm_class("unreachable", "timm:unreachable")((3, 32, 32), 5, pretrained=True)
    with pytest.raises(PretrainedWeightsError) as caught:
        model.load_pretrained()
    assert str(caught.value) == (
        "the pretrained weights of timm:unreachable are neither in the cache of Hugging Face (HF_HOME) nor available "
        "from https://huggingface.co/timm/unreachable (no route)"
    )


@pytest.mark.usefixtures("timm")
def test_an_unknown_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownArchitectureError, match=r"^unknown architecture 'timm:met' \(did you mean 'timm:net'"):
        architecture("timm:met")


def test_without_timm_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    timm_class.cache_clear()
    with pytest.raises(MissingLibraryError, match=r"^timm:net needs timm: pip install optrack\[timm\]$"):
        architecture("timm:net")
    assert issubclass(MissingLibraryError, UnknownArchitectureError)


def test_the_real_timm_fits_too() -> None:
    pytest.importorskip("timm")
    with torch.device("meta"):
        model = architecture("timm:mobilenetv3_small_050")((3, 32, 32), 5, trainable_blocks=1)
        assert model(torch.empty(2, 3, 32, 32)).shape == (2, 5)
