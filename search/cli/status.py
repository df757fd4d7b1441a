"""`optrack status`: where a study stands."""

from ..text import short
from .options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from .output import print_json
from .stored import say_apart, stored_study
from .tables import print_table


def status(study: StudyArgument, storage: StorageOption = DEFAULT_STORAGE, as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """Show where a study stands: trials by state, and the best value of each family."""
    from ..stores import trials

    name, families = stored_study(study, storage)
    answer = trials.status(name, families)
    if as_json:
        print_json(answer)
        return
    states = ("total", *trials.OPTUNA_STATES)
    rows = [
        [
            family["family"],
            *(str(family["trials"][state]) for state in states),
            str(family["epochs"]),
            short(family["best"] and family["best"]["value"]),
            short(family["best"] and family["best"]["trial"]),
        ]
        for family in answer["families"]
    ]
    metric = families[0].study.metric
    print_table(
        ["family", *(f"{state}#" for state in states), "epochs#", f"best {metric}#", "in trial#"], rows, title=name
    )
    say_apart(families)
