"""`optrack architecture`: the networks that families can name."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import StudyError, unknown
from .options import JsonOption
from .output import print_json
from .tables import print_table

if TYPE_CHECKING:
    from ...architectures.inspection import Description

architecture_app = typer.Typer(help="List and show architectures.", no_args_is_help=True)


@architecture_app.command("list")
def list_architectures(as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """List the architectures with the hyperparameters that each takes."""
    from ...architectures import ARCHITECTURES, architecture
    from ..study import keyword_parameters

    answer: list[dict[str, Any]] = [
        {
            "architecture": name,
            "summary": (architecture(name).__doc__ or "").splitlines()[0],
            "hyperparameters": {
                parameter.name: {"allowed": parameter.allowed(), "default": parameter.default}
                for parameter in keyword_parameters(architecture(name)).values()
            },
        }
        for name in ARCHITECTURES
    ]
    if as_json:
        print_json(answer)
        return
    rows = [[row["architecture"], row["summary"], ", ".join(name for name in row["hyperparameters"])] for row in answer]
    print_table(["architecture", "what", "hyperparameters"], rows)


@architecture_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An architecture, FILE.py:CLASS, or STUDY/FAMILY.")],
    shape: Annotated[str, typer.Option("--input", metavar="C,H,W", help="Input of a bare architecture.")] = "3,32,32",
    classes: Annotated[int, typer.Option(min=1, help="Classes of a bare architecture.")] = 10,
    as_json: JsonOption = False,  # noqa: FBT002 - typer's form
) -> None:
    """Show the layers with output shapes, parameters and multiply-adds.

    A family is shown with its fixed options and its first start configuration, on its study's images.
    """
    from ...architectures import is_own_architecture

    is_family = "/" in name and not is_own_architecture(name)
    description = _family(name) if is_family else _bare(name, _shape(shape), classes)
    if as_json:
        print_json(asdict(description))
        return
    rows = [
        [
            layer.name,
            layer.type,
            "-" if layer.output_shape is None else " x ".join(map(str, layer.output_shape)),
            f"{layer.parameters:,}",
            f"{layer.trainable:,}",
        ]
        for layer in description.layers
    ]
    print_table(["layer", "type", "output", "parameters#", "trainable#"], rows, title=_title(description))


def _title(description: "Description") -> str:
    channels, height, width = description.input
    return (
        f"{description.architecture} on {channels} x {height} x {width}, {description.classes} classes: "
        f"{description.parameters.total:,} parameters, {description.parameters.trainable:,} trainable, "
        f"per image {description.multiply_adds:,} multiply-adds, "
        f"{description.activation_bytes:,} bytes of activations"
    )


def _shape(text: str) -> tuple[int, int, int]:
    """Parse `3,32,32` as channels, height and width."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):  # noqa: PLR2004 - C, H, W
        raise StudyError(f"--input must be three numbers C,H,W above 0, such as 3,32,32, but got {text!r}")
    channels, height, width = map(int, parts)
    return channels, height, width


def _bare(name: str, shape: tuple[int, int, int], classes: int, **hyperparameters: Any) -> "Description":
    from ...architectures.inspection import describe

    try:
        return describe(name, shape, classes, **hyperparameters)
    except ValueError as error:
        raise StudyError(str(error)) from None


def _family(reference: str) -> "Description":
    from ..coordinator import check_study, known_shape
    from ..study import load_study
    from ..training import split_settings

    study_name, family_name = reference.rsplit("/", 1)
    study = load_study(study_name)
    families = {family.name: family for family in study.families}
    if family_name not in families:
        raise StudyError(unknown(f"{study.name} family", family_name, families))
    check_study(study)
    family = families[family_name]
    known = known_shape(study.data)
    if known is None:
        raise StudyError(f"the images of {study.data.name!r} have no known size: give the study's data an image_size")
    _, model = split_settings({**family.options, **(family.start[0] if family.start else {})})
    return _bare(family.architecture, *known, **model)
