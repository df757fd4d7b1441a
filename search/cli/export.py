"""`optrack export`: a champion as an ONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .output import check_output, console, output_file, print_json
from .process import mlflow_waited_for, resuming
from .stored import study_name


def export(
    context: typer.Context,
    study: options.StudyArgument,
    family: options.ChampionOption = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: STUDY.FAMILY.onnx.")] = None,
    run_source: options.RunSourceOption = None,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.DEFAULT_WAIT_SECONDS,
    as_json: options.JsonOption = False,  # noqa: FBT002 - typer's form
) -> None:
    """Write a champion as an ONNX file, from pixels to logits, checked against torch."""
    if output is not None:
        check_output(output)
    again = resuming(context, {"tracking_uri": tracking_uri}, study)
    with console(stderr=True).status("exporting"), mlflow_waited_for(wait, again):  # torch takes seconds to import
        from ..champions import CHECKED_BATCHES, load_champion
        from ..champions import export as write

        champion = load_champion(study_name(study), family, tracking_uri=tracking_uri, run_source=run_source)
        path = output_file(output, f"{champion.study}.{champion.family}.onnx")
        difference = write(champion, path)
    channels, height, width = champion.input_shape
    if as_json:
        answer = {
            "study": champion.study,
            "family": champion.family,
            "output": str(path),
            "bytes": path.stat().st_size,
            "input": [channels, height, width],
            "classes": list(champion.classes),
            "difference": difference,
            "batches": list(CHECKED_BATCHES),
        }
        print_json(answer)
        return
    typer.echo(
        f"{path}: {champion.family} of {champion.study}, {path.stat().st_size / 1e6:.1f} MB, "
        f"images uint8 [N, {channels}, {height}, {width}] to logits [N, {len(champion.classes)}]"
    )
    typer.echo(f"Largest difference from torch: {difference:.1e} of the largest logit.")
