"""What commands that read a study share: find it in the storage, or say what is stored instead."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import NothingStoredError, StudyError, unknown
from ..text import plural
from .output import say

if TYPE_CHECKING:
    from ..stores import StoredFamily
    from ..study import Family, Study

FamilyT = TypeVar("FamilyT", "Family", "StoredFamily")


def stored_study(reference: str, storage_url: str) -> "tuple[str, list[StoredFamily]]":
    """Return the name of a study and its stored families, without importing torch.

    The reference is the name of a shipped or stored study, or the path of a study file.

    Raises:
        StudyError: there is no such study.
        NothingStoredError: it has not been run.
    """
    from ..stores import read_storage, shown, stored_families, stored_names
    from ..study import shipped_studies

    shipped = shipped_studies()
    is_file = _is_file(reference)
    name = study_name(reference)
    quiet_optuna()
    try:
        storage = read_storage(storage_url)
    except NothingStoredError:
        if not is_file and name not in shipped:
            raise StudyError(unknown("study", name, shipped)) from None
        raise
    families = stored_families(storage, name)
    if not families:
        known = dict.fromkeys([*stored_names(storage), *shipped])
        if not is_file and name not in known:
            raise StudyError(unknown("study", name, known))
        raise NothingStoredError(
            f"study {name!r} has no stored trials in {shown(storage_url)}: `optrack run {reference}` starts it"
        )
    return name, families


def study_name(reference: str) -> str:
    """Return the name of a study that is given by its name or as a file.

    Raises:
        StudyError: the file holds no study.
    """
    file = study_file(reference)
    return reference if file is None else file.name


def study_file(reference: str) -> "Study | None":
    """Return the study in a file; None where a study is given by its name.

    Raises:
        StudyError: the file holds no study.
    """
    from ..study import load_study

    return load_study(reference) if _is_file(reference) else None


def _is_file(reference: str) -> bool:
    from ..study import shipped_studies

    return reference not in shipped_studies() and (reference.endswith(".py") or Path(reference).is_file())


def chosen(families: "Sequence[FamilyT]", names: list[str] | None, what: str = "family") -> "list[FamilyT]":
    """Return the families that were named, or all.

    Raises:
        StudyError: none has such a name.
    """
    known = {family.name: family for family in families}
    for name in names or ():
        if name not in known:
            raise StudyError(unknown(what, name, known))
    return [known[name] for name in dict.fromkeys(names or known)]


def say_apart(families: "Sequence[StoredFamily]") -> None:
    """Say below a table which trials are not in it."""
    for family in families:
        if family.apart:
            epochs = plural(family.study.budget.epochs, "epoch")
            say(f"{family.name}: {family.apart_text} kept apart, as the study has {epochs} now")


def quiet_optuna() -> None:
    """Silence Optuna's log lines, which would appear between ours."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
