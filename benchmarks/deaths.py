"""What the deaths of `make torture` came to: a table and a record.

python -m benchmarks.deaths FOLDER
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .record import write_record


def main(folder: Annotated[Path, typer.Argument(help="Where the tests have put what they found.")]) -> None:
    """Print the table, leave the record, and exit 1 where anything differed from a command that nothing happened to."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(folder.glob("*.json")):
        part: dict[str, Any] = json.loads(file.read_text())
        parts.setdefault(part["command"], []).append(part)
    results = [{"command": command, **summed(found)} for command, found in parts.items()]
    table = Table(title="deaths, and what was not as if nothing had happened")
    for column in ("command", "deaths", "deviations"):
        table.add_column(column, justify="right")
    for row in results:
        table.add_row(row["command"], str(row["deaths"]), str(len(row["deviations"])))
    deaths = sum(int(row["deaths"]) for row in results)
    deviations = sum(len(row["deviations"]) for row in results)
    table.add_row("all", str(deaths), str(deviations))
    Console().print(table)
    for row in results:
        for deviation in row["deviations"]:
            Console().print(f"{row['command']}: {deviation}", markup=False, highlight=False)
    Console(stderr=True).print(
        write_record("deaths", settings={"deaths": deaths, "deviations": deviations}, results=results)
    )
    raise typer.Exit(1 if deviations or not deaths else 0)


def summed(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what the tests of one command found; of the seconds that an end took, the most."""
    answer: dict[str, Any] = {"deaths": sum(int(part["deaths"]) for part in parts)}
    for name in ("writes", "epochs", "more_epochs", "seconds"):
        values = [part[name] for part in parts if name in part]
        if values:
            answer[name] = max(values)
    deviations: list[str] = [deviation for part in parts for deviation in part["deviations"]]
    return answer | {"deviations": deviations}


if __name__ == "__main__":
    typer.run(main)
