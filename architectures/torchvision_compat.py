"""torchvision, whatever build of torch stands beside it; the other files of this room import it from here.

torchvision's compiled operators load only beside the torch that they were built for. `import torchvision` describes two
of them (`nms`, `qnms`) to torch and fails where they did not load, for example with a torch without CUDA beside a
torchvision from the ordinary index. Models need none of them, so it is enough that they are declared. timm imports
torchvision too, so this module comes first there as well.
"""

from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _compiled_operators() -> list[Path]:
    """Give the files of torchvision's own operators, found without importing it."""
    spec = find_spec("torchvision")
    folders = (spec.submodule_search_locations or []) if spec else []
    return [file for folder in folders for file in Path(folder).glob("_C*") if file.suffix in {".so", ".pyd"}]


def _load_or_declare() -> torch.library.Library | None:
    """Load the operators (twice does no harm) or else declare them, for as long as the returned value lives."""
    try:
        for file in _compiled_operators():
            torch.ops.load_library(str(file))
    except OSError:
        pass
    if hasattr(torch.ops.torchvision, "nms"):  # loaded, or declared by someone else in this process
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)
    return library


_LIBRARY = _load_or_declare()

# By name, because torchvision has no types, and because it must not be imported before the line above has run.
models: Any = resolve_name("torchvision.models")
get_model: "Callable[..., nn.Module]" = models.get_model
get_model_builder: "Callable[[str], Callable[..., nn.Module]]" = models.get_model_builder
get_model_weights: "Callable[[str], Any]" = models.get_model_weights


def classification_models() -> list[str]:
    """Give the names of torchvision's models that classify images, in order."""
    return models.list_models(module=models)
