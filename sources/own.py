"""User-defined classes and functions, named as `file.py:Name` or `module:Name`."""

import hashlib
import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import SourceChangedError, SourceError, did_you_mean
from .isolation import undisturbed
from .python_file import run_file, why

_OWN = re.compile(r"(?P<place>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a reference led to.

    Attributes:
        digest: SHA-256 of that file, in hexadecimal; files that it imports are not in it.
    """

    reference: str
    value: Any
    file: Path
    digest: str


def is_own(reference: str) -> bool:
    """Whether a name has the form of user code; whether that code exists is another question.

    >>> [is_own(name) for name in ("my_net.py:Net", "nets/mine.py:Net", "my_package.models:Net", "lenet", "photos:a b")]
    [True, True, True, False, False]
    """
    return _OWN.fullmatch(reference) is not None


# The same class each time, and the one that a process started with even if its file is edited meanwhile.
_loaded: dict[tuple[Path, str, str], Own] = {}


def load_own(reference: str, *, digest: str | None = None, file: Path | None = None) -> Own:
    """Run the code that a reference names, once in a process.

    Args:
        reference: `file.py:Name`, the path relative to the current folder, or `module:Name`; the current folder is
            searched for modules, as with `python -m`.
        digest: that its file must have; None for any.
        file: where the code is read from instead, e.g. a recorded copy.

    Raises:
        SourceChangedError: its file has another digest.
        SourceError: it is not there, does not run, or has nothing of that name.
    """
    place, name = _parts(reference)
    found = _file_of(place) if file is None else file
    current = _digest(found)
    wanted = current if digest is None else digest
    known = _loaded.get((found.absolute(), name, wanted))
    if known is not None:
        return known
    if current != wanted:
        raise SourceChangedError(
            f"{_shown(found)} is not what it was: its SHA-256 begins with {current[:12]}, recorded is {wanted[:12]}"
        )
    with undisturbed():
        module = _imported(place, found) if file is None and not place.endswith(".py") else _run(found, current)
    own = Own(reference=reference, value=_named(module, name, found), file=found, digest=current)
    _loaded[found.absolute(), name, current] = own
    return own


def read_source(reference: str) -> tuple[Path, bytes]:
    """Return the file that a reference names, and its content; nothing of it is run.

    Raises:
        SourceError: it is not there.
    """
    file = _file_of(_parts(reference)[0])
    return file, _content(file)


def _parts(reference: str) -> tuple[str, str]:
    match = _OWN.fullmatch(reference)
    if match is None:
        raise SourceError(f"own code must be named as file.py:Name or module:Name, but got {reference!r}")
    return match["place"], match["name"]


def _file_of(place: str) -> Path:
    """Return the file for the part of a reference before the colon."""
    if place.endswith(".py"):
        file = Path(place)
        if not file.is_file():
            raise SourceError(f"there is no file {place} (current folder: {Path.cwd()})")
        return file
    spec = _spec_of(place)
    if spec is None:
        raise SourceError(f"there is no module {place} (current folder: {Path.cwd()})")
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise SourceError(f"module {place} has no source file")
    return Path(spec.origin)


def _spec_of(module: str) -> ModuleSpec | None:
    """Find a module. Unlike `importlib.util.find_spec`, this does not run the packages that it is in."""
    path: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        found = [finder.find_spec(name, path) for finder in sys.meta_path]
        if path is None:  # as if the current folder stood on the path
            found.append(PathFinder.find_spec(name, [str(Path.cwd())]))
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return spec


def _imported(place: str, file: Path) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise SourceError(f"{_shown(file)}{why(error, file)}") from error


def _run(file: Path, digest: str) -> ModuleType:
    _make_importable(file.absolute().parent)  # for what lies beside it, as when Python runs a file
    return run_file(file, name=f"optrack_own_{file.stem}_{digest[:12]}")


def _named(module: ModuleType, name: str, file: Path) -> Any:
    if not hasattr(module, name):
        names = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        hint = did_you_mean(name, names)
        raise SourceError(f"{_shown(file)} has no {name!r}{hint}; it defines {', '.join(names) or 'nothing'}")
    return getattr(module, name)


def _make_importable(folder: Path) -> None:
    """Append a folder to the path: last, so that no user file hides an installed package."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SourceError(f"{_shown(file)} cannot be read: {error.strerror}") from error


def _digest(file: Path) -> str:
    return hashlib.sha256(_content(file)).hexdigest()


def _shown(file: Path) -> str:
    """Return a path as the user would write it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
