"""The models of timm (Hugging Face's PyTorch image models), each with a new head; timm is an extra."""

from functools import cache, partial
from typing import Any

from torch import nn

from ..sources.errors import unknown
from ..sources.torchvision_compat import import_timm
from .errors import MissingLibraryError, PretrainedWeightsError, UnknownArchitectureError
from .pretrained_weights import one_line
from .transfer import Backbone, TransferModel, transfer_class

MINIMUM_IMAGE_SIZE = 32  # where timm states none: its networks halve the image five times


@cache
def timm_class(model: str, name: str) -> type[TransferModel]:
    """Return the class of a timm model."""
    timm = _timm(model)
    names = [*timm.list_models(), *timm.list_pretrained()]
    if model not in names:
        known = (f"timm:{name}" for name in names)
        raise UnknownArchitectureError(unknown("architecture", f"timm:{model}", known))
    settings = timm.get_pretrained_cfg(model)
    is_fixed = bool(settings.fixed_input_size)
    smallest = settings.input_size if is_fixed else settings.min_input_size
    return transfer_class(
        Backbone(
            name=name,
            source=f"timm's {model}, https://huggingface.co/docs/timm.",
            minimum_image_size=max(smallest[1:]) if smallest else MINIMUM_IMAGE_SIZE,
            fixed_image_size=is_fixed,
            head_depth=0,
            build=partial(_network, model),
            load=partial(_load, name, model),
        )
    )


def _timm(model: str) -> Any:
    try:
        return import_timm()
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise MissingLibraryError(f"timm:{model} needs timm: pip install optrack[timm]") from None


def _network(model: str, pretrained: bool) -> nn.Module:  # noqa: FBT001 - as `Backbone.build` is called
    del pretrained  # timm's networks are the same in both cases
    return _timm(model).create_model(model, pretrained=False, num_classes=0)


def _load(name: str, model: str, network: nn.Module) -> None:
    """Let timm find its weights, in its cache or on the network, and make a second network of them to copy from."""
    try:
        source = _timm(model).create_model(model, pretrained=True, num_classes=0)
    except Exception as error:  # noqa: BLE001 - whatever timm, its hub and the network raise
        settings = _timm(model).get_pretrained_cfg(model)
        place = f"https://huggingface.co/{settings.hf_hub_id}" if settings.hf_hub_id else settings.url
        raise PretrainedWeightsError(
            f"the pretrained weights of {name} are neither in the cache of Hugging Face (HF_HOME) nor available from "
            f"{place} ({one_line(error)})"
        ) from None
    network.load_state_dict(source.state_dict())
