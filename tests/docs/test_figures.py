"""Figures in the README are those of the newest record that they name."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = " ".join((ROOT / "README.md").read_text().split())


def newest(name: str) -> dict[str, Any]:
    """The last record of a benchmark; the names end with the date."""
    return json.loads(max((ROOT / "benchmarks/results").glob(f"{name}-*.json")).read_text())


def test_the_table_of_the_traffic_signs_is_what_the_pipeline_found() -> None:
    record = newest("pipeline-gtsrb")
    *families, _ = record["results"]
    for family in families:
        validation, mean, lowest, highest = (
            f"{100 * family[name]:.1f}" for name in ("validation", "mean", "lowest", "highest")
        )
        reported = [f"{100 * family[name]:.1f}" for name in ("reported_validation", "reported_test")]
        cells = (f"{validation} %", f"{reported[0]} %", f"{mean} % ({lowest} to {highest})", f"{reported[1]} %")
        row = next(row for row in README.split("| |") if row.strip("| ").startswith(f"{family['family']} |"))
        assert " | ".join(cells) in row
    minutes = [round(record["settings"]["seconds"][name] / 60) for name in ("run", "retrain", "test", "report")]
    assert (
        f"(`run gtsrb --trials 12` {minutes[0]}, `retrain --seeds 3` {minutes[1]}, `test` and `report` "
        f"{round(sum(list(record['settings']['seconds'].values())[2:]) / 60)};" in README
    )


def test_the_deaths_are_those_of_the_torture() -> None:
    record = newest("deaths")
    deaths, deviations = (record["settings"][name] for name in ("deaths", "deviations"))
    assert {row["command"].split(",")[0] for row in record["results"]} == {
        "new", "run", "retrain", "test", "report", "sync",
    }  # fmt: skip
    assert f"after {deaths:,} deaths the same command again ended well, with {deviations} deviations" in README


def test_what_checkpoints_cost_is_what_was_measured() -> None:
    most = max(row["writing_share"]["median"] for row in newest("checkpoints")["results"])
    assert f"cost {100 * most:.1f} % of its time at most" in README


def test_how_often_the_verdict_is_wrong_is_what_the_simulation_found() -> None:
    found = newest("verdict")["settings"]
    better, before = found["false_better"], found["false_better_before"]
    covered = found["coverage_difference"]
    assert (
        f"two families that are equal in {better['mean']:.1f} % (at most {better['highest']:.1f} % in one of "
        f"{found['situations']} kinds of studies)" in README
    )
    assert f"{before['mean']:.1f} % (at most {before['highest']:.1f} %)" in README
    assert f"95 % intervals of a difference hold it in {covered['mean']:.1f} %" in README
