"""`optrack best`: the best configuration of each family."""

from collections.abc import Mapping
from typing import Any

from ..errors import NothingStoredError
from ..text import configuration, short
from .options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from .output import print_json
from .stored import say_apart, stored_study
from .tables import print_table


def best(study: StudyArgument, storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """Show the best configuration of each family, by its best epoch on the validation images."""
    from ..stores import missing_epochs, trials

    name, families = stored_study(study, storage)
    answer = trials.best(name, families)
    if not answer["families"]:
        missing = next((words for family in families if (words := missing_epochs(family))), "")
        raise NothingStoredError(
            f"study {name!r} has no finished trial {missing}yet: `optrack status {study}` shows where it stands"
        )
    if as_json:
        print_json(answer)
    else:
        print_best(answer)
        say_apart(families)


def print_best(answer: Mapping[str, Any]) -> None:
    """Print the best configurations as a table."""
    rows = [
        [row["family"], short(row["value"]), str(row["trial"]), short(row["epoch"]), configuration(row["params"])]
        for row in answer["families"]
    ]
    columns = ["family", f"{answer['metric']}#", "trial#", "epoch#", "configuration"]
    print_table(columns, rows, title=f"{answer['study']}: best configuration of each family")
