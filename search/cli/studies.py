"""`optrack studies`: what can be run by name."""

from .options import JsonOption
from .output import print_json
from .tables import print_table


def studies(as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """List the shipped studies."""
    from ..study import load_study, shipped_studies

    found = [(load_study(name), source) for name, source in shipped_studies().items()]
    answer = [
        {
            "study": study.name,
            "dataset": study.data.name,
            "families": [family.name for family in study.families],
            "source": str(source),
        }
        for study, source in found
    ]
    if as_json:
        print_json(answer)
        return
    rows = [[str(row["study"]), str(row["dataset"]), ", ".join(row["families"]), str(row["source"])] for row in answer]
    print_table(["study", "data set", "families", "source"], rows)
