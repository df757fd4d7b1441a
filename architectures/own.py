"""User-defined networks: classes in a file or module of the user's own."""

import inspect
from pathlib import Path
from typing import Any, get_type_hints

from torch import nn

from ..sources import load_own
from .errors import OwnArchitectureError

CONSTRUCTOR = "(self, input_shape, classes, *, hyperparameters...)"


def own_class(name: str, *, source: str | None = None, file: Path | None = None) -> type[nn.Module]:
    """Load a user-defined network whose file has the SHA-256 `source`, or from `file`: see `load_own`."""
    found: Any = load_own(name, digest=source, file=file).value
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        what = f"is a class of {found.__bases__[0].__name__}" if isinstance(found, type) else _kind(found)
        raise OwnArchitectureError(f"{name} must be a class of torch.nn.Module, but {what}")
    _check_constructor(name, found)
    return found


def _kind(found: object) -> str:
    return "is a function" if callable(found) and hasattr(found, "__code__") else f"is a {type(found).__name__}"


def _check_constructor(name: str, build: type[nn.Module]) -> None:
    """Check for two positional arguments and keyword-only hyperparameters: their names and ranges are the schema."""
    _, *parameters = inspect.signature(build.__init__).parameters.values()
    by_position = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    extra = [each.name for each in by_position[2:]]
    if extra:
        raise OwnArchitectureError(
            f"{name} must take hyperparameters by keyword alone, behind a *, as in {CONSTRUCTOR}, but takes "
            f"{', '.join(extra)} by position"
        )
    if len(by_position) < 2:  # noqa: PLR2004 - input_shape and classes
        taken = ", ".join(["self", *(str(each) for each in parameters)])
        raise OwnArchitectureError(f"the constructor of {name} must take {CONSTRUCTOR}, but takes ({taken})")
    try:
        get_type_hints(build.__init__, include_extras=True)
    except Exception as error:  # noqa: BLE001 - an annotation in quotes may say anything
        raise OwnArchitectureError(f"an annotation in the constructor of {name} cannot be read: {error}") from None
