"""Images per second of every preset and operation, against torchvision v2 on one image after the other.

torchvision's transforms draw once for a batch, so that augmentation with them means one call for each image. Both run
alternately in one process.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from pkgutil import resolve_name
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from optrack.datasets.augmentation import (
    PRESETS,
    Affine,
    Augmentation,
    ColourJitter,
    Crop,
    Cutout,
    Flip,
    Grayscale,
    Operation,
)
from optrack.sources import torchvision_compat

from .record import Spread, spread, write_record

OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "crop": (Crop(),),
    "flip": (Flip(),),
    "affine": (Affine(degrees=(-10, 10), translation=0.08, scale=(0.85, 1.15)),),
    "jitter": (ColourJitter(brightness=0.3, contrast=0.3, saturation=0.3, colour_turn=0.03),),
    "brightness": (ColourJitter(brightness=0.3),),
    "grayscale": (Grayscale(),),
    "cutout": (Cutout(),),
}
SECONDS_PER_RUN = 0.3


def main(
    runs: Annotated[int, typer.Option(min=5, help="Repetitions of each.")] = 5,
    batch: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 128,
    size: Annotated[int, typer.Option(min=8, help="Height and width in pixels.")] = 32,
    threads: Annotated[int, typer.Option(min=1, help="Of torch on the CPU.")] = 1,
    device: Annotated[str, typer.Option(help="Where the images are: cpu or cuda.")] = "cpu",
    *,
    processor_time: Annotated[bool, typer.Option(help="Count processor seconds, on a machine that is busy.")] = False,
) -> None:
    """Measure, print a table and write a record."""
    torch.set_num_threads(threads)
    clock = time.process_time if processor_time else time.perf_counter
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8).to(device)
    table = Table("augmentation", title=f"images/s at 3 x {size} x {size}, batch {batch}, {device}, {threads} threads")
    for heading in ("batch by batch", "torchvision", "times"):
        table.add_column(heading, justify="right")
    results = list[dict[str, Any]]()
    for name, operations in ({key: value for key, value in PRESETS.items() if value} | OPERATIONS).items():
        ways = {
            "batch_by_batch": batch_by_batch(operations, images),
            "torchvision": torchvision_per_image(operations, images),
        }
        rates = {way: list[float]() for way in ways}
        for _ in range(runs):
            for way, change in ways.items():
                rates[way].append(images_per_second(change, images, clock))
        spreads = {way: spread(values) for way, values in rates.items()}
        times = spreads["batch_by_batch"].median / spreads["torchvision"].median
        table.add_row(name, *(in_words(measured) for measured in spreads.values()), f"{times:.0f}")
        results.append({"augmentation": name} | {way: asdict(measured) for way, measured in spreads.items()})
    settings = {
        "runs": runs,
        "batch": batch,
        "size": size,
        "device": device,
        "unit": "images/s",
        "clock": clock.__name__,
    }
    Console().print(table)
    Console(stderr=True).print(write_record("augmentation", settings=settings, results=results))


def batch_by_batch(operations: tuple[Operation, ...], images: Tensor) -> Callable[[], object]:
    """Ours, each batch with its own draw."""
    augmentation, generator = Augmentation(operations=operations), torch.Generator().manual_seed(0)
    return lambda: augmentation(images, generator)


def torchvision_per_image(operations: tuple[Operation, ...], images: Tensor) -> Callable[[], object]:
    """torchvision's, one call for each image."""
    transforms = [torchvision_transform(operation, images.shape[-1]) for operation in operations]

    def change() -> None:
        results = list[Tensor]()
        for image in images:
            changed = image
            for transform in transforms:
                changed = transform(changed)
            results.append(changed)
        torch.stack(results)

    return change


def torchvision_transform(operation: Operation, size: int) -> Callable[[Tensor], Tensor]:
    """The nearest that torchvision has; beyond the image its affine knows zeros alone."""
    assert torchvision_compat  # noqa: S101  it is what makes torchvision importable
    v2: Any = resolve_name("torchvision.transforms.v2")
    match operation:
        case Crop():
            return v2.RandomCrop(size, padding=operation.padding, padding_mode="symmetric")
        case Flip():
            flips = [v2.RandomHorizontalFlip(operation.horizontal), v2.RandomVerticalFlip(operation.vertical)]
            return v2.Compose(flips if operation.vertical else flips[:1])
        case Affine():
            shift = (operation.translation, operation.translation)
            bilinear = v2.InterpolationMode.BILINEAR
            return v2.RandomAffine(list(operation.degrees), shift, operation.scale, interpolation=bilinear)
        case ColourJitter():
            return v2.ColorJitter(operation.brightness, operation.contrast, operation.saturation, operation.colour_turn)
        case Grayscale():
            return v2.RandomGrayscale(operation.probability)
        case Cutout():
            share = operation.size**2
            return v2.RandomErasing(1.0, (share, share), (1.0, 1.0), operation.fill)


def images_per_second(change: Callable[[], object], images: Tensor, clock: Callable[[], float]) -> float:
    """Of something that changes all images once; the first call is not counted."""
    change()
    _finish(images)
    calls, start = 0, clock()
    while (elapsed := clock() - start) < SECONDS_PER_RUN:
        for _ in range(5 if calls else 1):
            change()
            calls += 1
        _finish(images)
    return calls * len(images) / elapsed


def in_words(measured: Spread) -> str:
    """Median, and half of the range as a share of it."""
    half = (measured.highest - measured.lowest) / 2 / measured.median
    return f"{measured.median:,.0f} ± {half:.0%}"


def _finish(images: Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    typer.run(main)
