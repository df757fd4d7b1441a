"""torchvision, whatever build of torch is installed beside it; nothing else imports torchvision or timm directly.

torchvision's compiled operators load only with the torch that they were built for. `import torchvision` describes two
of them (`nms`, `qnms`) to torch and fails if they did not load, for example with a torch without CUDA beside a
torchvision from the ordinary index. Models and data sets need none of them, so declaring them is enough.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _compiled_operators() -> list[Path]:
    """Return the files of torchvision's own operators, found without importing it."""
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
    if hasattr(torch.ops.torchvision, "nms"):  # loaded, or declared by other code in this process
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)
    return library


_LIBRARY = _load_or_declare()

# By name, because torchvision has no types and must not be imported before the line above has run.
models: Any = import_module("torchvision.models")
datasets: Any = import_module("torchvision.datasets")


def classification_models() -> list[str]:
    """Return the names of torchvision's models that classify images, in order."""
    return models.list_models(module=models)


def import_timm() -> Any:
    """Import timm, which imports torchvision itself."""
    return import_module("timm")
