"""`optrack importance`: which hyperparameters matter."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import StorageError
from .options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from .output import console, print_json, print_table
from .stored import stored_study


def importance(
    study: StudyArgument,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: STUDY-importance.html.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,  # noqa: FBT002 - typer's form
) -> None:
    """Show which hyperparameters matter, and write a page with Optuna's figures of each family."""
    name, families = stored_study(study, storage)
    page = output or Path(f"{name}-importance.html")
    if page.is_dir():
        raise StorageError(f"--output {page} is a folder; it must be a file")

    from ..importance import importances, write_page

    metric = families[0].study.metric
    found = {family.name: importances(family.optuna_study) for family in families}
    try:
        write_page(page, name, {family.name: family.optuna_study for family in families}, metric=metric)
    except OSError as error:
        raise StorageError(f"--output {page} cannot be written: {error.strerror}") from None
    if as_json:
        answer = [
            {
                "family": family,
                "completed": item.completed,
                "reliable": item.reliable,
                "note": item.note,
                "importances": dict(item.values),
            }
            for family, item in found.items()
        ]
        print_json({"study": name, "metric": metric, "page": str(page), "families": answer})
        return
    rows = [
        [family, ", ".join(f"{parameter} {share:.2f}" for parameter, share in item.values.items()) or "-", item.note]
        for family, item in found.items()
    ]
    print_table(["family", f"share in {metric}", "note"], rows, title=f"{name}: importance of hyperparameters")
    console(stderr=True).print(f"Figures: {page.absolute()}", markup=False, soft_wrap=True)
