"""Griffe, which reads the docstrings, learns here what it does not know about the classes of a study file.

It knows the standard library's dataclasses and not pydantic's; and ranges such as `Annotated[int, Ge(1)]` are written
out for people who do not know annotated-types.
"""

import re
from typing import Any

from griffe import (
    Alias,
    AliasResolutionError,
    Attribute,
    Class,
    Decorator,
    Expr,
    ExprBinOp,
    ExprCall,
    ExprKeyword,
    ExprLambda,
    ExprName,
    ExprSubscript,
    ExprTuple,
    Extension,
    Module,
)

_BOUNDS = {"Ge": ">=", "Gt": ">", "Le": "<=", "Lt": "<"}


class StudyTypes(Extension):
    """Pydantic's dataclasses as dataclasses, types in words, defaults without the machinery around them."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Change the classes of a package that was read; griffe's own extension for dataclasses comes after this."""
        _change(pkg)


def _change(place: Module | Class) -> None:
    for member in place.members.values():
        if member.is_alias:
            continue
        if isinstance(member, Module):
            _change(member)
        elif isinstance(member, Class):
            for decorator in member.decorators:
                _as_dataclass(decorator)
            member.members.pop("type", None)  # tells the kinds apart in JSON, and is written by no person
            if member.docstring is not None:
                member.docstring.value = _with_examples_fenced(member.docstring.value)
            for attribute in member.members.values():
                if isinstance(attribute, Attribute):
                    attribute.annotation = _in_words(attribute.annotation)
                    attribute.value = _default(attribute.value)


def _with_examples_fenced(text: str) -> str:
    """Give a docstring with its `>>>` lines and their answers as a block; Markdown would take them for quotations."""
    return re.sub(r"(^>>> .*(?:\n.+)*)", r"```pycon\n\1\n```", text, flags=re.MULTILINE)


def _as_dataclass(decorator: Decorator) -> None:
    if isinstance(decorator.value, Expr) and decorator.value.canonical_path == "pydantic.dataclasses.dataclass":
        decorator.value = ExprName("dataclasses.dataclass")


def _in_words(annotation: Any) -> Any:
    """Give `Annotated[int, Ge(1)] | None` as `int, >= 1, or None`, and choices in place of the name that they go by."""
    if isinstance(annotation, ExprBinOp) and annotation.operator == "|":
        left, right = (_in_words(part) for part in (annotation.left, annotation.right))
        return annotation if left is annotation.left else f"{left}, or {right}"
    if isinstance(annotation, ExprName) and isinstance(annotation.parent, Module | Class):
        return _choices(annotation, annotation.parent)
    if not isinstance(annotation, ExprSubscript) or annotation.canonical_path != "typing.Annotated":
        return annotation
    base, *rules = annotation.slice.elements if isinstance(annotation.slice, ExprTuple) else [annotation.slice]
    bounds = [
        f"{_BOUNDS[str(rule.function)]} {rule.arguments[0]}"
        for rule in rules
        if isinstance(rule, ExprCall) and str(rule.function) in _BOUNDS
    ]
    return ", ".join([str(base), *bounds]) if bounds else base


def _choices(name: ExprName, place: Module | Class) -> Expr:
    known = place.module.members.get(name.name)
    if isinstance(known, Alias):  # imported from another module
        try:
            known = known.final_target
        except AliasResolutionError:
            return name
    value = known.value if isinstance(known, Attribute) else None
    return value if isinstance(value, ExprSubscript) and value.canonical_path == "typing.Literal" else name


def _default(value: Any) -> Any:
    """Give `Field(default_factory=dict)` as `dict()`."""
    if not isinstance(value, ExprCall) or value.canonical_path != "pydantic.Field":
        return value
    for argument in value.arguments:
        if isinstance(argument, ExprKeyword) and argument.name == "default_factory":
            made = argument.value
            return made.body if isinstance(made, ExprLambda) else f"{made}()"
    return value
