"""Find a study by name or path."""

import os
import pkgutil
from pathlib import Path

from pydantic import ValidationError

from ...sources import SourceError, line_of, run_file
from ..errors import StudyError, unknown
from .study import Study, first_problem


def shipped_studies() -> dict[str, Path]:
    """Return the studies that come with optrack: name to file."""
    import optrack.studies

    return {
        module.name: Path(folder) / f"{module.name}.py"
        for folder in optrack.studies.__path__
        for module in pkgutil.iter_modules([folder])
    }


def load_study(reference: str) -> Study:
    """Load a study by name or from a file.

    Args:
        reference: name of a shipped study, or path of a Python file that defines `STUDY`.

    Raises:
        StudyError: no such study, or a file without a valid `STUDY`.
        SourceError: a file that does not run; the message says where.
    """
    shipped = shipped_studies()
    path = shipped.get(reference, Path(reference))
    if reference not in shipped:
        exists = os.path.lexists(path)  # unlike Path.exists, it takes names of any length
        if path.suffix != ".py" and not exists:
            raise StudyError(f"{unknown('study', reference, shipped)}, or the path of a .py file")
        if not exists or not path.is_file():
            raise StudyError(f"{path} is not a file" if exists else f"there is no study file {reference}")
    try:
        module = run_file(path, name=f"optrack_study_{path.stem}", kind="study file")
    except SourceError as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            raise StudyError(f"study file {path}{line_of(cause, path)}: {first_problem(cause)}") from None
        raise
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        what = "has no STUDY" if study is None else f"has a STUDY that is a {type(study).__name__}"
        raise StudyError(f"study file {path} {what}; it must define STUDY = Study(...)")
    return study
