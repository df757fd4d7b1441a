"""`optrack dataset`: the images that studies can name."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, CacheDirOption, DataDirOption, JsonOption
from .output import console, print_json, print_table, short

dataset_app = typer.Typer(help="List and fetch data sets.", no_args_is_help=True)


@dataset_app.command("list")
def list_datasets(data_dir: DataDirOption = DEFAULT_DATA_DIR, as_json: JsonOption = False) -> None:  # noqa: FBT002 - typer's form
    """List the data sets that can be named, and whether their files are here."""
    from ...datasets import dataset_infos

    answer: list[dict[str, Any]] = [
        {
            "dataset": info.name,
            "summary": info.summary,
            "channels": info.channels,
            "image_size": info.image_size,
            "classes": info.classes,
            "source": info.source,
            "found": _found(info.name, data_dir) if not info.embedded else "embedded",
        }
        for info in dataset_infos()
    ]
    if as_json:
        print_json(answer)
        return
    rows = [
        [
            row["dataset"],
            short(row["classes"]),
            short(row["image_size"]),
            short(row["channels"]),
            short(row["found"]),
            row["summary"],
        ]
        for row in answer
    ]
    print_table(["data set", "classes#", "pixels#", "channels#", "found in", "what"], rows)


def _found(name: str, data_dir: Path) -> str | None:
    from ...datasets import locate

    if ":" in name:
        return None
    place = locate(name, data_dir)
    return None if place is None else str(place)


@dataset_app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set, or image_folder:PATH.")],
    download: Annotated[bool, typer.Option("--download", help="Fetch it first, where it can be fetched.")] = False,  # noqa: FBT002 - typer's form
    image_size: Annotated[int | None, typer.Option(min=1, help="Side of the images in pixels.")] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    cache_dir: CacheDirOption = DEFAULT_CACHE_DIR,
) -> None:
    """Decode a data set into the cache, so that the first study on it starts at once."""
    from ... import datasets
    from ..study import Data
    from .progress import decoding

    if download:
        datasets.download(name, data_dir)
    data = Data(name)
    with decoding() as progress:
        prepared = datasets.prepare(
            name,
            image_size=image_size,
            validation=data.validation,
            split_seed=data.split_seed,
            data_dir=data_dir,
            cache_dir=cache_dir,
            progress=progress,
        )
    channels, height, width = prepared.input_shape
    images = prepared.train_images + prepared.validation_images
    console().print(f"{name}: {images} images of {channels} x {height} x {width} in {prepared.folder}", markup=False)
