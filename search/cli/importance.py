"""`optrack importance`: which hyperparameters matter."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from .output import output_file, print_json, say
from .stored import say_apart, stored_study
from .tables import print_table

if TYPE_CHECKING:
    from ..importance import Importances


def importance(
    study: StudyArgument,
    evaluator: Annotated[
        str, typer.Option(metavar="NAME", help="What ranks: ped_anova, or one that grows a forest, fanova or mdi.")
    ] = "ped_anova",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: STUDY-importance.html.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,  # noqa: FBT002 - typer's form
) -> None:
    """Show which hyperparameters matter and how sure that is, and write a page with Optuna's figures."""
    name, families = stored_study(study, storage)
    page = output_file(output, f"{name}-importance.html")

    from ..importance import CONFIDENCE, importances, write_page

    metric = families[0].study.metric
    found = {family.name: importances(family.optuna_study, evaluator=evaluator) for family in families}
    write_page(page, name, families, metric=metric, found=found)
    if as_json:
        answer = [{"family": family, **_as_json(item)} for family, item in found.items()]
        print_json({"study": name, "metric": metric, "page": str(page), "families": answer})
        return
    title = f"{name}: importance of hyperparameters ({evaluator})"
    columns = ["family", "finished#", "parameter", f"share in {metric}#", f"{CONFIDENCE:.0%} interval", "note"]
    print_table(columns, [row for family, item in found.items() for row in _rows(family, item)], title=title)
    say_apart(families)
    say(f"Figures: {page.absolute()}")


def _as_json(found: "Importances") -> dict[str, object]:
    return {
        "evaluator": found.evaluator,
        "completed": found.finished,
        "reliable": found.reliable,
        "note": found.note,
        "importances": dict(found.values),
        "intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "unproven": list(found.unproven),
    }


def _rows(family: str, found: "Importances") -> list[list[str]]:
    """Return a row for each parameter; what concerns the whole family stands in its first row alone."""
    doubts = {name: "not told from chance" if name in found.unproven else "" for name in found.values}
    shares = [[name, f"{share:.2f}", found.interval_text(name), doubts[name]] for name, share in found.values.items()]
    first, *others = shares or [["-", "-", "-", ""]]
    first[-1] = "; ".join(text for text in (first[-1], found.note) if text)
    return [[family, str(found.finished), *first], *(["", "", *row] for row in others)]
