"""`optrack studies`: what can be run by name."""

from .options import JsonOption
from .output import print_json, print_table


def studies(as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """List the shipped studies."""
    from ..study import load_study, shipped_studies

    found = [load_study(name) for name in shipped_studies()]
    answer = [
        {
            "study": item.study.name,
            "dataset": item.study.data.name,
            "families": [family.name for family in item.study.families],
            "source": str(item.source),
        }
        for item in found
    ]
    if as_json:
        print_json(answer)
        return
    rows = [[str(row["study"]), str(row["dataset"]), ", ".join(row["families"]), str(row["source"])] for row in answer]
    print_table(["study", "data set", "families", "source"], rows)
