"""The whole way by commands alone: search, retrain, test, report; how long each takes, and what the test says.

python -m benchmarks.pipeline gtsrb --folder found --data-dir DIR --trials 12 --seeds 3
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from optrack.search.stores import StoredFamily, read_storage, stored_families

from .record import write_record

OPTRACK = Path(sys.executable).with_name("optrack")


def main(
    study: Annotated[str, typer.Argument(help="A shipped study.")],
    folder: Annotated[Path, typer.Option(help="An empty folder, where everything is left to be looked at.")],
    data_dir: Annotated[Path, typer.Option(help="Where data sets lie.")],
    trials: Annotated[int | None, typer.Option(help="Of each family; default: the study's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of a trial; default: the study's.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="Only this family; may be given again.")] = None,
    seeds: Annotated[int, typer.Option(help="Models of each family.")] = 3,
) -> None:
    """Print a table, and leave a record of it."""
    folder.mkdir(parents=True, exist_ok=True)
    search = [f"--{name}={value}" for name, value in (("trials", trials), ("epochs", epochs)) if value]
    search += [f"--family={name}" for name in family or ()]
    data = f"--data-dir={data_dir.absolute()}"
    commands = {
        "run": ["run", study, *search, data],
        "retrain": ["retrain", study, f"--seeds={seeds}", data],
        "test": ["test", study, data],
        "report": ["report", study],
    }
    seconds = {name: timed(folder, arguments) for name, arguments in commands.items()}
    answer = subprocess.check_output([OPTRACK, "test", study, data, "--json"], cwd=folder)  # noqa: S603 - likewise
    judged = json.loads(answer)
    stored = {item.name: item for item in stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), study)}
    results = [result(stored[score["family"]], score) for score in judged["families"]]
    console = Console()
    console.print(table_of(study, results))
    for comparison in judged["comparisons"]:
        console.print(comparison["sentence"])
    console.print({**{name: round(value) for name, value in seconds.items()}, "all": round(sum(seconds.values()))})
    settings = {"study": study, "options": search, "seeds": seeds, "seconds": seconds}
    everything = [*results, {"comparisons": judged["comparisons"], "sentence": judged["sentence"]}]
    console.print(f"Record: {write_record(f'pipeline-{study}', settings=settings, results=everything)}")


def timed(folder: Path, arguments: list[str]) -> float:
    """Wall-clock seconds of a command, which must succeed."""
    started = time.perf_counter()
    subprocess.run([OPTRACK, *arguments], cwd=folder, check=True)  # noqa: S603 - our own command line
    return time.perf_counter() - started


def result(family: StoredFamily, score: dict[str, Any]) -> dict[str, Any]:
    """One family's way in figures."""
    best, reference = family.best, family.family.reference
    return {
        **score,
        "trials": len(family.trials),
        "epochs": family.epochs,
        "validation": best and best.value,
        "configuration": best and best.params,
        "reported_validation": reference and reference.validation,
        "reported_test": reference and reference.test,
    }


def table_of(study: str, results: list[dict[str, Any]]) -> Table:
    """The families, best first, in per cent."""
    table = Table(title=f"{study}: accuracy on the test images, per cent")
    table.add_column("family")
    for column in ("test mean", "lowest seed", "highest seed", "reported test", "validation", "reported validation"):
        table.add_column(column, justify="right")
    for row in results:
        keys = ("mean", "lowest", "highest", "reported_test", "validation", "reported_validation")
        table.add_row(row["family"], *("-" if row[key] is None else f"{100 * row[key]:.2f}" for key in keys))
    return table


if __name__ == "__main__":
    typer.run(main)
