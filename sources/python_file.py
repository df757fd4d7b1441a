"""Run a Python file as a module of its own."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from .errors import SourceError


def run_file(path: Path, *, name: str, kind: str = "") -> ModuleType:
    """Run a Python file as a module of that name, each time anew; `kind` says in messages what it is.

    Raises:
        SourceError: it does not run; the message says where and why, and `__cause__` is what it raised.
    """
    called = f"{kind} {path}".strip()
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SourceError(f"{called} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and type hints look their module up
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # reading a file must not leave a cache beside it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise SourceError(f"{called}{why(error, path)}") from error
    finally:
        sys.dont_write_bytecode = before
    return module


def why(error: BaseException, path: Path) -> str:
    """Return what a file's code raised, and where, as the end of a message that begins with the file.

    >>> why(KeyError("depth"), Path("my_net.py"))
    ": KeyError: 'depth'"
    """
    if isinstance(error, SyntaxError):
        # The error may be in a file that it imports.
        place = "" if error.lineno is None else f", line {error.lineno}"
        file = "" if error.filename is None or Path(error.filename) == path.absolute() else f", in {error.filename}"
        return f"{file}{place}: {error.msg}"
    return f"{line_of(error, path)}: {type(error).__name__}: {' '.join(str(error).split())}"


def line_of(error: BaseException, path: Path) -> str:
    """Return the last line of a file in an error's traceback, as `, line 3`; empty if it is not in there."""
    file = path.absolute()
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f", line {lines[-1]}" if lines else ""
