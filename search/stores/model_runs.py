"""The runs of families and of models that were trained outside the search, as they are recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Literal

from . import mlflow_names as names

Stage = Literal["confirm", "retrain"]
"""Raced on validation images, or trained on all images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRun:
    """The run of a family: which trial's configuration was retrained last, and what the family was searched with.

    Versions are those of Python and of packages; the commit is that of the folder in which it was searched.
    """

    run_id: str
    candidate: int | None
    versions: Mapping[str, str]
    git_commit: str | None

    @classmethod
    def of(cls, run_id: str, tags: Mapping[str, str]) -> "FamilyRun":
        """Read a run from its tags."""
        pairs = (entry.split(" ", 1) for entry in tags.get(names.VERSIONS_TAG, "").split(", ") if " " in entry)
        return cls(
            run_id=run_id,
            candidate=int(tags[names.CANDIDATE_TAG]) if names.CANDIDATE_TAG in tags else None,
            versions={"python": tags.get(names.PYTHON_TAG, "unknown"), **dict(pairs)},
            git_commit=tags.get(names.COMMIT_TAG),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """The run of a training outside the search.

    Args:
        run_id: its ID.
        family: name of the family.
        stage: what it was trained for.
        trial: whose configuration it is.
        value: the metric of that trial; None where that is not recorded.
        number: which seed, from 1 on.
        seed: itself.
        training: digest of all that the result depends on.
        state: finished, failed, interrupted or running.
        threads: of torch; None where it never began.
        deaths: how often its worker has died.
        openings: how often the test part was opened for it.
        latency_device: what its latency was measured on; None before the test.
        metrics: last values.
    """

    run_id: str
    family: str
    stage: Stage
    trial: int
    value: float | None
    number: int
    seed: int
    training: str
    state: str
    threads: int | None
    deaths: int
    openings: int
    latency_device: str | None
    metrics: Mapping[str, float]

    @classmethod
    def of(cls, run_id: str, tags: Mapping[str, str], metrics: Mapping[str, float]) -> "ModelRun":
        """Read a run from its tags and metrics."""
        return cls(
            run_id=run_id,
            family=tags[names.FAMILY_TAG],
            stage="confirm" if tags[names.STAGE_TAG] == names.CONFIRM_STAGE else "retrain",
            trial=int(tags[names.TRIAL_TAG]),
            value=float(tags[names.VALUE_TAG]) if names.VALUE_TAG in tags else None,
            number=int(tags[names.NUMBER_TAG]),
            seed=int(tags[names.SEED_TAG]),
            training=tags[names.TRAINING_TAG],
            state=tags[names.STATE_TAG],
            threads=int(tags[names.THREADS_TAG]) if names.THREADS_TAG in tags else None,
            deaths=int(tags.get(names.DEATHS_TAG, 0)),
            openings=int(tags.get(names.OPENINGS_TAG, 0)),
            latency_device=tags.get(names.LATENCY_TAG),
            metrics=metrics,
        )

    @property
    def tested(self) -> bool:
        """Whether its test is complete: the accuracy is recorded last."""
        return f"{names.TEST}/accuracy" in self.metrics


def race_values(runs: Sequence[ModelRun], metric: str) -> dict[str, dict[int, list[float]]]:
    """Return what races found under fresh seeds, from the first seed on without a gap: by family and trial number."""
    values: dict[str, dict[int, dict[int, float]]] = {}
    for run in runs:
        value = run.metrics.get(f"{names.BEST}/{metric}")
        if run.state == "finished" and value is not None:
            values.setdefault(run.family, {}).setdefault(run.trial, {})[run.number] = value
    return {
        family: {
            trial: [by_seed[number] for number in takewhile(by_seed.__contains__, count(1))]
            for trial, by_seed in trials.items()
            if 1 in by_seed
        }
        for family, trials in values.items()
    }
