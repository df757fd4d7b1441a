"""Faces of packages that import a module when one of its names is first used."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazily(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Make a package's `__getattr__` (PEP 562) of its names by module, so that importing it imports nothing heavy.

    >>> lazily("optrack.sources", {"errors": ["SourceError"]})("SourceError").__module__
    'optrack.sources.errors'
    """
    modules = {name: module for module, own in names.items() for name in own}

    def getattribute(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return getattribute
