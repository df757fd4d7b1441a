"""How often the verdict is wrong: simulated studies with known truth, through the code that judges real ones.

python -m benchmarks.verdict --studies 1000 --processes 2

Images differ in how hard they are, for all families, for one family, and for one training; those of a group have half
of that in common. A training is better or worse than its family's mean by chance, by so many points (`spread`). Beside
it stands what earlier versions said: McNemar's test of the first seeds, and a bootstrap interval over images alone.
"""

import itertools
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from optrack.search.results import TestResult, verdict
from optrack.search.results.significance import LEVEL, mcnemar

from .record import write_record

ACCURACY = 0.955
IMAGES, SEEDS, SPREADS, GROUPS = (12_630, 1000, 360), (3, 5, 10), (0.0, 0.2, 0.4, 0.8), (1, 5, 10, 30)
OF_ALL, OF_FAMILY, OF_GROUP = 0.85, 0.05, 0.5
"""Shares of what makes an image hard or easy: for all families alike, for one of them, and in common with its group."""

MARGIN = 0.005

SAID = ("better", "right", "equal", "more", "difference_covered", "mean_covered")
SAID_BEFORE = ("better_before", "difference_covered_before")
"""What is counted; of families that are equal every `better` is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a simulated study is like.

    Args:
        images: of the test.
        seeds: of each family.
        spread: standard deviation of a training's accuracy, in points.
        group: images in each group; 1 where they are independent.
        difference: by which the first family is better than the second one, in points.
        families: how many are compared; those after the second one are as the second one.
    """

    images: int
    seeds: int
    spread: float
    group: int
    difference: float = 0.0
    families: int = 2


def main(
    studies: Annotated[int, typer.Option(help="Simulated for each situation.")] = 1000,
    processes: Annotated[int, typer.Option(help="At once.")] = os.cpu_count() or 1,
) -> None:
    """Print a table, and leave a record of it."""
    crossed = list(itertools.product(IMAGES, SEEDS, SPREADS, GROUPS))
    situations = [
        Situation(images=images, seeds=seeds, spread=spread, group=group, difference=difference)
        for difference in (0.0, 100 * MARGIN)
        for images, seeds, spread, group in crossed
    ]
    situations += [Situation(images=12_630, seeds=seeds, spread=0.06, group=1, difference=0.3) for seeds in SEEDS]
    situations += [Situation(images=1000, seeds=3, spread=0.2, group=1, families=families) for families in (3, 5)]
    results: list[dict[str, Any]] = []
    with ProcessPoolExecutor(processes) as pool:
        # Where families differ there are fewer questions.
        numbers = [studies // 4 if each.difference == 100 * MARGIN else studies for each in situations]
        found = pool.map(simulated, situations, numbers, range(len(situations)))
        for situation, number, counts in zip(situations, numbers, found, strict=True):
            shares = {name: count / number for name, count in counts.items()}
            results.append(asdict(situation) | {"studies": number} | shares)
    table = Table(title="per cent of the studies")
    for column in results[0]:
        table.add_column(column, justify="right")
    for row in results:
        counted = {*SAID, *SAID_BEFORE}
        table.add_row(*(f"{100 * row[name]:.1f}" if name in counted else f"{row[name]:g}" for name in row))
    Console(width=180).print(table)
    summary = summed(results)
    Console().print(json.dumps(summary, indent=2))
    Console(stderr=True).print(write_record("verdict", settings={"studies": studies, **summary}, results=results))


def summed(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures that are quoted."""
    equal = [row for row in results if not row["difference"] and row["families"] == 2]  # noqa: PLR2004
    apart = [row for row in results if row["difference"] == 100 * MARGIN]
    both = equal + apart

    def over(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
        values = [100 * row[name] for row in rows]
        return {"mean": round(float(np.mean(values)), 2), "lowest": min(values), "highest": max(values)}

    return {
        "situations": len(equal),
        "false_better": over(equal, "better"),
        "false_better_before": over(equal, "better_before"),
        "false_equal": over(apart, "equal"),
        "false_more": over(apart, "more"),
        "coverage_difference": over(both, "difference_covered"),
        "coverage_difference_before": over(both, "difference_covered_before"),
        "coverage_mean": over(both, "mean_covered"),
        "power": {row["seeds"]: round(100 * row["right"], 1) for row in results if row["difference"] == 0.3},  # noqa: PLR2004
        "false_better_of_more": {
            row["families"]: round(100 * row["better"], 1)
            for row in results
            if row["families"] > 2  # noqa: PLR2004
        },
    }


def simulated(situation: Situation, studies: int, seed: int) -> dict[str, int]:
    """Return in how many studies of a kind what was said, and what of it was right."""
    rng = np.random.default_rng(seed)
    counts: dict[str, int] = dict.fromkeys((*SAID, *SAID_BEFORE), 0)
    true = situation.difference / 100
    for _ in range(studies):
        correct, groups = drawn(situation, rng)
        results = {str(family): [tested(seed, groups) for seed in seeds] for family, seeds in enumerate(correct)}
        found = verdict(results, by_validation=list(results), margin=MARGIN)
        first = next(pair for pair in found.comparisons if {pair.better, pair.worse} == {"0", "1"})
        sign = 1 if first.better == "0" else -1
        covered = sorted(sign * end for end in first.interval)
        score = next(score for score in found.scores if score.name == "0")
        counts["better"] += any(pair.differ for pair in found.comparisons)
        counts["right"] += first.differ and sign > 0
        counts["equal"] += first.finding == "practically equal"
        counts["more"] += first.finding == "better by more"
        counts["difference_covered"] += bool(covered[0] <= true <= covered[1])
        counts["mean_covered"] += score.interval is not None and score.interval[0] <= ACCURACY <= score.interval[1]
        before, low, high = as_before(correct[0], correct[1])
        counts["better_before"] += bool(before)
        counts["difference_covered_before"] += bool(low <= true <= high)
    return counts


def drawn(situation: Situation, rng: np.random.Generator) -> tuple[list[NDArray[np.bool_]], NDArray[np.int64] | None]:
    """Return which images the seeds of each family recognise, bool [K, N] each, and the images' groups."""
    images, seeds = situation.images, situation.seeds
    groups = np.arange(images) // situation.group

    def hardness(share: float) -> NDArray[np.float64]:
        own = math.sqrt(share) * rng.standard_normal(images)
        if situation.group == 1:
            return own
        common = math.sqrt(share) * rng.standard_normal(int(groups[-1]) + 1)
        return math.sqrt(OF_GROUP) * common[groups] + math.sqrt(1 - OF_GROUP) * own

    of_all, correct = hardness(OF_ALL), list[NDArray[np.bool_]]()
    for family in range(situation.families):
        mean = ACCURACY - (situation.difference / 100 if family else 0.0)
        accuracies = np.clip(mean + situation.spread / 100 * rng.standard_normal(seeds), 0.5, 0.9999)
        noise = math.sqrt(1 - OF_ALL - OF_FAMILY) * rng.standard_normal((seeds, images), dtype=np.float32)
        correct.append(of_all + hardness(OF_FAMILY) + noise < ndtri(accuracies)[:, None])
    return correct, groups if situation.group > 1 else None


def tested(correct: NDArray[np.bool_], groups: NDArray[np.int64] | None) -> TestResult:
    """Return the test result of a model that recognises these images."""
    labels = np.zeros(len(correct), dtype=np.int64)
    return TestResult(
        classes=("right", "wrong"),
        labels=labels,
        predictions=(~correct).astype(np.int64),
        confidences=np.ones(len(correct), dtype=np.float32),
        loss=0.0,
        calibration_error=0.0,
        openings=1,
        digest="",
        groups=groups,
    )


def as_before(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[bool, float, float]:
    """Return whether earlier versions called the families different, and the interval of the difference they gave."""
    alone = int((first[0] & ~second[0]).sum()), int((second[0] & ~first[0]).sum())
    differences = first.mean(axis=0) - second.mean(axis=0)
    mean, half = float(differences.mean()), 1.96 * float(differences.std()) / np.sqrt(len(differences))
    is_contradicted = (alone[0] - alone[1]) * mean < 0
    return mcnemar(*alone) < LEVEL and abs(mean) > half and not is_contradicted, mean - half, mean + half


if __name__ == "__main__":
    typer.run(main)
