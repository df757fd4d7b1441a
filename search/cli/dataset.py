"""`optrack dataset`: the images that studies can name."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..text import short
from .options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, CacheDirOption, DataDirOption, JsonOption
from .output import console, output_file, print_json
from .tables import print_table

if TYPE_CHECKING:
    from ...datasets import DataRequest, DatasetStatistics, Prepared

dataset_app = typer.Typer(help="List, fetch and look at data sets.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A data set, or image_folder:PATH.")]
ImageSizeOption = Annotated[
    int | None, typer.Option(min=1, help="Side of the images in pixels; the data set's own unless given.")
]
ValidationOption = Annotated[float, typer.Option(metavar="SHARE", help="Share of the training part to validate on.")]
SplitSeedOption = Annotated[int, typer.Option(min=0, help="Which images these are.")]
GroupsOption = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="PATTERN",
        help="Regular expression searched in CLASS/FILE; images with the same first group are not split up.",
    ),
]
DEFAULT_VALIDATION = 0.2


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
    shown = ("dataset", "classes", "image_size", "channels", "found", "summary")
    rows = [[short(row[key]) for key in shown] for row in answer]
    print_table(["data set", "classes#", "pixels#", "channels#", "found in", "what"], rows)


def _found(name: str, data_dir: Path) -> str | None:
    from ...datasets import locate

    if ":" in name:
        return None
    place = locate(name, data_dir)
    return None if place is None else str(place)


@dataset_app.command()
def prepare(
    name: NameArgument,
    download: Annotated[bool, typer.Option("--download", help="Fetch it first, where it can be fetched.")] = False,  # noqa: FBT002 - typer's form
    image_size: ImageSizeOption = None,
    validation: ValidationOption = DEFAULT_VALIDATION,
    split_seed: SplitSeedOption = 0,
    groups: GroupsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    cache_dir: CacheDirOption = DEFAULT_CACHE_DIR,
) -> None:
    """Decode a data set into the cache, so that the first study on it starts at once."""
    from ... import datasets

    if download:
        datasets.download(name, data_dir)
    prepared = _prepared(_request(name, image_size, validation, split_seed, groups, data_dir, cache_dir))
    channels, height, width = prepared.input_shape
    images = prepared.train_images + prepared.validation_images
    console().print(f"{name}: {images} images of {channels} x {height} x {width} in {prepared.folder}", markup=False)


@dataset_app.command()
def stats(
    name: NameArgument,
    image_size: ImageSizeOption = None,
    validation: ValidationOption = DEFAULT_VALIDATION,
    split_seed: SplitSeedOption = 0,
    groups: GroupsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    cache_dir: CacheDirOption = DEFAULT_CACHE_DIR,
    as_json: JsonOption = False,  # noqa: FBT002 - typer's form
) -> None:
    """Count a data set's images: per part and class, groups, duplicates between parts, mean and deviation."""
    from ... import datasets
    from .progress import decoding

    request = _request(name, image_size, validation, split_seed, groups, data_dir, cache_dir)
    with decoding() as progress:
        statistics = datasets.dataset_statistics(request, progress)
    if as_json:
        print_json(asdict(statistics))
    else:
        _print_statistics(statistics)


@dataset_app.command()
def preview(
    name: NameArgument,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The picture; preview-NAME.png by default.")
    ] = None,
    image_size: ImageSizeOption = None,
    validation: ValidationOption = DEFAULT_VALIDATION,
    split_seed: SplitSeedOption = 0,
    groups: GroupsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    cache_dir: CacheDirOption = DEFAULT_CACHE_DIR,
) -> None:
    """Draw four training images of every class, and some under each augmentation, into two pictures."""
    from ...datasets.prepared import augmentation_preview, save
    from ...datasets.prepared import preview as draw

    file = output_file(output, f"preview-{Path(name.rpartition(':')[2]).resolve().name}.png")
    prepared = _prepared(_request(name, image_size, validation, split_seed, groups, data_dir, cache_dir))
    save(draw(prepared), file)
    augmented = file.with_name(f"{file.stem}-augmented{file.suffix}")
    save(augmentation_preview(prepared), augmented)
    console().print(f"{name}: four images of each of {len(prepared.classes)} classes in {file}", markup=False)
    console().print(f"{name}: the same images under each augmentation in {augmented}", markup=False)


def _request(
    name: str,
    image_size: int | None,
    validation: float,
    split_seed: int,
    groups: str | None,
    data_dir: Path,
    cache_dir: Path,
) -> "DataRequest":
    """Return what the options ask for; images of different sizes are resized to the data set's usual size."""
    from ...datasets import DataRequest, dataset_infos

    usual = {info.name: info.usual_size for info in dataset_infos()}.get(name)
    return DataRequest(
        name,
        data_dir=data_dir,
        cache_dir=cache_dir,
        image_size=image_size or usual,
        validation=validation,
        split_seed=split_seed,
        group_pattern=groups,
    )


def _prepared(request: "DataRequest") -> "Prepared":
    from ... import datasets
    from .progress import decoding

    with decoding() as progress:
        return datasets.prepare(request, progress)


def _print_statistics(statistics: "DatasetStatistics") -> None:
    parts = {name: part for name, part in statistics.splits.items() if part is not None}
    rows = [[name, *(str(part.per_class[name]) for part in parts.values())] for name in statistics.classes]
    rows.append(["all classes", *(str(part.images) for part in parts.values())])
    print_table(["class", *(f"{part}#" for part in parts)], rows, title=statistics.dataset)
    print_table(["", ""], [[what, value] for what, value in _facts(statistics).items()])


def _facts(statistics: "DatasetStatistics") -> dict[str, str]:
    """Return what there is to say besides the numbers of images."""
    sizes = {f"{height} x {width}" for height, width in statistics.original_sizes.values()}
    ranges = ", ".join(f"{name} {height} x {width}" for name, (height, width) in statistics.original_sizes.items())
    groups = statistics.groups
    between = ", ".join(f"{pair.replace('_', '/')} {count}" for pair, count in statistics.duplicates_between.items())
    return {
        "layout": statistics.layout,
        "images (C x H x W)": " x ".join(map(str, statistics.input_shape)),
        "files (H x W)": sizes.pop() if len(sizes) == 1 else ranges,
        "mean": " ".join(f"{value:.4f}" for value in statistics.mean),
        "standard deviation": " ".join(f"{value:.4f}" for value in statistics.std),
        "groups": f"train {groups.train}, validation {groups.validation}, shared {groups.shared}" if groups else "none",
        "duplicates": f"{statistics.duplicates} ({between})",
        **({"test part": "not there"} if statistics.splits["test"] is None else {}),
    }
