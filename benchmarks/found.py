"""What a search that was run found, beside what was reported for the same families elsewhere.

python -m benchmarks.found gtsrb --storage sqlite:///optuna.db
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from optrack.search.stores import StoredFamily, read_storage, stored_families

from .record import write_record

COLUMNS = ("family", "trials", "finished", "pruned", "epochs", "training_seconds", "validation", "reported")


def main(
    study: Annotated[str, typer.Argument(help="A study that is stored.")],
    storage: Annotated[str, typer.Option(help="Optuna's storage.")] = "sqlite:///optuna.db",
) -> None:
    """Print a table, and leave a record of it."""
    families = stored_families(read_storage(storage), study)
    results = [result(family) for family in families]
    table = Table(title=f"{study}: best validation accuracy beside the reported one")
    for column in COLUMNS:
        table.add_column(column.replace("_", " "), justify="left" if column == "family" else "right")
    for row in results:
        table.add_row(*(shown(row[column]) for column in COLUMNS))
    console = Console()
    console.print(table)
    settings = {"study": study, "data": families[0].study.data.name, "budget": str(families[0].study.budget)}
    console.print(f"Record: {write_record(f'found-{study}', settings=settings, results=results)}")


def result(family: StoredFamily) -> dict[str, Any]:
    """One family's search in figures."""
    best, reference = family.best, family.family.reference
    return {
        "family": family.name,
        "trials": len(family.trials),
        "finished": family.counts["finished"],
        "pruned": family.counts["pruned"],
        "epochs": family.epochs,
        "training_seconds": round(family.seconds, 1),
        "validation": None if best is None else best.value,
        "reported": reference and reference.validation,
        "configuration": None if best is None else best.params,
    }


def shown(value: object) -> str:
    """A figure as people read it."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) and value <= 1 else str(value)


if __name__ == "__main__":
    typer.run(main)
