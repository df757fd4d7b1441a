"""Keyword-only parameters as the schema of training, architectures, samplers and pruners.

A signature such as `def __init__(self, *, dropout: Annotated[float, Ge(0), Lt(1)] = 0.0)` is the only definition of a
hyperparameter's name, type, range and default; spaces, options and the command line are checked against it.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from ..errors import StudyError, unknown
from .choice import INEXACT, is_exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One keyword-only parameter; its annotation holds type and range."""

    name: str
    annotation: Any
    default: Any

    def check(self, value: object) -> Any:
        """Return the value in the parameter's type (an int becomes a float where a float is expected).

        Raises:
            StudyError: wrong type or out of range; the message states the rule, then the value. Or values cannot be
                checked against the annotation.
        """
        try:
            adapter = TypeAdapter[Any](self.annotation)
        except PydanticSchemaGenerationError:
            raise StudyError(
                f"{self.name} cannot be fixed or searched: its annotation {self.allowed()} must be bool, int, "
                "float, str, None, Literal, or one of these Annotated with a range"
            ) from None
        try:
            taken = adapter.validate_python(value, strict=True)
        except ValidationError as error:
            if isinstance(value, int) and not is_exact(value):  # too large for any float
                raise StudyError(f"{self.name} {INEXACT}, but got {value!r}") from None
            rule = error.errors()[0]["msg"].removeprefix("Input ")
            raise StudyError(f"{self.name} {rule}, but got {value!r}") from None
        if isinstance(taken, float) and isinstance(value, int) and not is_exact(value):
            raise StudyError(f"{self.name} {INEXACT}, but got {value!r}")
        return taken

    def allowed(self) -> str:
        """Return type and range in words.

        >>> from annotated_types import Ge, Lt
        >>> Parameter(name="dropout", annotation=Annotated[float, Ge(0), Lt(1)], default=0.0).allowed()
        'float, >= 0, < 1'
        """
        return _in_words(self.annotation)


_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def _in_words(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        base, *bounds = get_args(annotation)
        ranges = [
            f"{sign} {getattr(bound, name)}"
            for bound in bounds
            for name, sign in _BOUNDS.items()
            if hasattr(bound, name)
        ]
        return ", ".join([_in_words(base), *ranges])
    if get_origin(annotation) is Literal:
        return " | ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_in_words(part) for part in get_args(annotation))
    return "none" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))


def keyword_parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Return the keyword-only parameters of a function or of a class's constructor by name, in their order.

    >>> def schedule(*, warmup_epochs: float = 0.0): ...
    >>> keyword_parameters(schedule)["warmup_epochs"].default
    0.0
    """
    target = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(target, include_extras=True)
    return {
        name: Parameter(name=name, annotation=hints.get(name, Any), default=parameter.default)
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def check_options(kind: str, function: Callable[..., Any], options: Mapping[str, object]) -> dict[str, Any]:
    """Return options in the types of a function's keyword-only parameters; `kind` is for messages, e.g. "sampler tpe".

    Raises:
        StudyError: an unknown option or an invalid value.
    """
    known = keyword_parameters(function)
    for name in options:
        if name not in known:
            raise StudyError(unknown(f"option of {kind}", name, known))
    try:
        return {name: known[name].check(value) for name, value in options.items()}
    except StudyError as error:
        raise StudyError(f"{kind}: {error}") from None
