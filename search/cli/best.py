"""`optrack best`: the best configuration of each family."""

from typing import TYPE_CHECKING

from ..errors import NothingStoredError
from ..text import configuration, short
from .options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from .output import print_json, print_table
from .stored import stored_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores import StoredFamily


def best(study: StudyArgument, storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """Show the best configuration of each family, by its best epoch on the validation images."""
    from ..stores import trials

    name, families = stored_study(study, storage)
    answer = trials.best(name, families)
    if not answer["families"]:
        raise NothingStoredError(
            f"study {name!r} has no finished trial yet: `optrack status {study}` shows where it stands"
        )
    if as_json:
        print_json(answer)
    else:
        print_best(name, families)


def print_best(name: str, families: "Sequence[StoredFamily]") -> None:
    """Print the best configurations as a table."""
    from ..stores import trials

    answer = trials.best(name, families)
    rows = [
        [row["family"], short(row["value"]), str(row["trial"]), short(row["epoch"]), configuration(row["params"])]
        for row in answer["families"]
    ]
    columns = ["family", f"{answer['metric']}#", "trial#", "epoch#", "configuration"]
    print_table(columns, rows, title=f"{name}: best configuration of each family")
