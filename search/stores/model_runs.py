"""The MLflow runs of models that were trained outside of the search: found, read, and added to."""

import json
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal

from mlflow import MlflowClient
from mlflow.entities import Run

from ..errors import NothingStoredError, TrackingError
from ..study.metric import EPOCH_METRICS
from .addresses import check_tracking, has_records, shown
from .mlflow_address import answers_of

Stage = Literal["confirm", "retrain"]
"""Raced on validation images, or trained on all images."""

CANDIDATE_TAG = "optrack.candidate"
"""Of a family's run: the trial whose configuration was retrained last."""

OPENINGS_TAG = "optrack.test_openings"
"""Of the run of a retrained model: how often the test part was opened for it."""

LATENCY_TAG = "optrack.latency_device"
"""Likewise: what its latency was measured on."""

VALUE_TAG = "optrack.value"
"""Of the run of a model: the metric of the trial whose configuration it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """The run of one training.

    Args:
        run_id: MLflow's.
        family: name of the family.
        stage: what it was trained for.
        trial: whose configuration it is.
        number: which seed, from 1 on.
        seed: itself.
        training: digest of all that the result depends on.
        state: finished, failed, interrupted or running.
        threads: of torch; None where it never began.
        tags: all of them.
        metrics: last values.
    """

    run_id: str
    family: str
    stage: Stage
    trial: int
    number: int
    seed: int
    training: str
    state: str
    threads: int | None
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


class ModelRuns:
    """The runs of one study, for those who read them.

    Args:
        uri: MLflow's tracking URI.
        study: name of the study.

    Raises:
        TrackingError: MLflow is away.
        NothingStoredError: it does not know the study.
    """

    def __init__(self, uri: str, study: str) -> None:
        self.uri = uri
        self.study = study
        found = None
        check_tracking(uri)
        if has_records(uri):
            with answers_of(uri):
                self._client = MlflowClient(tracking_uri=uri)
                found = self._client.get_experiment_by_name(study)
        if found is None or found.lifecycle_stage != "active":
            raise NothingStoredError(
                f"MLflow at {shown(uri)} has no experiment {study!r}: give the --tracking-uri of the study's records"
            )
        self.experiment_id = found.experiment_id

    def families(self) -> dict[str, Run]:
        """The run of each family, by name."""
        runs = self._search("tags.`optrack.stage` = 'family'")
        return {run.data.tags["optrack.family"]: run for run in runs}

    def find(self, stage: Stage) -> list[ModelRun]:
        """All runs of a stage, the oldest first."""
        return [_model_run(run) for run in self._search(f"tags.`optrack.stage` = '{stage}'")]

    def openings(self, run_id: str) -> int:
        """How often the test part was opened for a model."""
        with answers_of(self.uri):
            return int(self._client.get_run(run_id).data.tags.get(OPENINGS_TAG, 0))

    def epochs(self, run_id: str) -> tuple[Mapping[str, float], ...]:
        """The metrics of each epoch by name, and its number as `epoch`."""
        by_epoch: dict[int, dict[str, float]] = {}
        with answers_of(self.uri):
            for name in EPOCH_METRICS:
                for metric in self._client.get_metric_history(run_id, name):
                    by_epoch.setdefault(metric.step, {"epoch": metric.step})[name] = metric.value
        return tuple(by_epoch[epoch] for epoch in sorted(by_epoch))

    def read(self, run_id: str, file: str) -> bytes:
        """An artifact of a run.

        Raises:
            TrackingError: it is not there.
        """
        with self.fetched(run_id, file) as path:
            return path.read_bytes()

    @contextmanager
    def fetched(self, run_id: str, name: str) -> Generator[Path]:
        """An artifact, file or folder, on this machine until the block ends.

        Raises:
            TrackingError: it is not there.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                with answers_of(self.uri):
                    path = Path(self._client.download_artifacts(run_id, name, folder))
            except TrackingError:
                raise TrackingError(
                    f"the artifact {name} of run {run_id} is gone from MLflow at {shown(self.uri)}: "
                    f"delete the run, and `optrack retrain {self.study}` makes it again"
                ) from None
            yield path

    def artifacts(self, run_id: str, folder: str) -> list[str]:
        """The artifacts in a folder of a run; none where there is no such folder."""
        with answers_of(self.uri):
            return [item.path for item in self._client.list_artifacts(run_id, folder)]

    def tag(self, run_id: str, name: str, value: object) -> None:
        """Set a tag of a run."""
        with answers_of(self.uri):
            self._client.set_tag(run_id, name, str(value))

    def log_metrics(self, run_id: str, values: Mapping[str, float]) -> None:
        """Metrics of a run."""
        with answers_of(self.uri):
            for name, value in values.items():
                self._client.log_metric(run_id, name, value)

    def log_file(self, run_id: str, file: str, content: bytes | Mapping[str, Any]) -> None:
        """An artifact of a run: bytes as they are, values as JSON."""
        data = content if isinstance(content, bytes) else json.dumps(content, indent=2).encode()
        with tempfile.TemporaryDirectory() as folder, answers_of(self.uri):
            path = Path(folder) / Path(file).name
            path.write_bytes(data)
            self._client.log_artifact(run_id, str(path), str(Path(file).parent) if "/" in file else None)

    def log_report(self, page: bytes) -> None:
        """The study's report, as the artifact of a run of its own; the page before is replaced."""
        with answers_of(self.uri):
            found = self._search("tags.`optrack.stage` = 'report'")
            tags = {"optrack.stage": "report", "optrack.study": self.study, "optrack.state": "finished"}
            run = found[0] if found else self._client.create_run(self.experiment_id, run_name="report", tags=tags)
            self._client.set_terminated(run.info.run_id)
        self.log_file(run.info.run_id, "report.html", page)

    def _search(self, query: str) -> list[Run]:
        with answers_of(self.uri):
            found: list[Run] = []
            token: str | None = None
            while True:
                page: Any = self._client.search_runs(
                    [self.experiment_id], query, order_by=["attributes.start_time ASC"], page_token=token
                )
                found += page
                token = page.token
                if not token:
                    return found


def _model_run(run: Run) -> ModelRun:
    tags = run.data.tags
    threads = tags.get("optrack.threads")
    return ModelRun(
        run_id=run.info.run_id,
        family=tags["optrack.family"],
        stage="confirm" if tags["optrack.stage"] == "confirm" else "retrain",
        trial=int(tags["optrack.trial"]),
        number=int(tags["optrack.number"]),
        seed=int(tags["optrack.seed"]),
        training=tags["optrack.training"],
        state=tags["optrack.state"],
        threads=None if threads is None else int(threads),
        tags=tags,
        metrics=run.data.metrics,
    )


def race_values(runs: Sequence[ModelRun], metric: str) -> dict[str, dict[int, list[float]]]:
    """What was found under fresh seeds, from the first seed on without a gap: by family and trial number.

    Args:
        runs: of races, in any state.
        metric: what was compared.
    """
    values: dict[str, dict[int, dict[int, float]]] = {}
    for run in runs:
        if run.state == "finished" and f"best/{metric}" in run.metrics:
            values.setdefault(run.family, {}).setdefault(run.trial, {})[run.number] = run.metrics[f"best/{metric}"]
    return {
        family: {trial: _from_the_first(by_seed) for trial, by_seed in trials.items() if 1 in by_seed}
        for family, trials in values.items()
    }


def _from_the_first(by_seed: Mapping[int, float]) -> list[float]:
    return [by_seed[number] for number in takewhile(by_seed.__contains__, count(1))]
