"""Find a study by name or path."""

import importlib.util
import os
import pkgutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from .errors import StudyError, unknown
from .study import Study, first_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """A study and where it stands."""

    study: Study
    source: Path


def shipped_studies() -> dict[str, Path]:
    """The studies that come with optrack: name to file."""
    import optrack.studies

    return {
        module.name: Path(folder) / f"{module.name}.py"
        for folder in optrack.studies.__path__
        for module in pkgutil.iter_modules([folder])
    }


def load_study(reference: str) -> FoundStudy:
    """The study of a name or of a file.

    Args:
        reference: name of a shipped study, or path of a Python file with `STUDY` in it.

    Raises:
        StudyError: no such study, or a file that does not run or has no valid `STUDY`; the message says where.
    """
    shipped = shipped_studies()
    path = shipped.get(reference, Path(reference))
    if reference not in shipped:
        exists = os.path.lexists(path)  # unlike Path.exists, it takes names of any length
        if path.suffix != ".py" and not exists:
            raise StudyError(f"{unknown('study', reference, shipped)}, or the path of a .py file")
        if not exists or not path.is_file():
            raise StudyError(f"{path} is no file" if exists else f"there is no study file {reference}")
    return FoundStudy(study=_study_in(path), source=path)


def _study_in(path: Path) -> Study:
    """Run a study file and take its `STUDY`."""
    spec = importlib.util.spec_from_file_location(f"optrack_study_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise StudyError(f"study file {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and type hints look their module up
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # a study that is only read leaves nothing beside itself
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        # A file that the study imports may be the culprit.
        place = "" if error.lineno is None else f", line {error.lineno}"
        file = "" if error.filename is None or Path(error.filename) == path.absolute() else f", in {error.filename}"
        raise StudyError(f"study file {path}{file}{place}: {error.msg}") from None
    except ValidationError as error:
        raise StudyError(f"study file {path}{_line(error, path)}: {first_problem(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's file may raise anything
        raise StudyError(f"study file {path}{_line(error, path)}: {type(error).__name__}: {_one_line(error)}") from None
    finally:
        sys.dont_write_bytecode = before
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        what = "has no STUDY" if study is None else f"has a STUDY that is a {type(study).__name__}"
        raise StudyError(f"study file {path} {what}; it must hold STUDY = Study(...)")
    return study


def _line(error: BaseException, path: Path) -> str:
    """The last line of the study file that the error went through."""
    file = path.absolute()
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f", line {lines[-1]}" if lines else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
