"""MLflow's side of the record: an experiment per study, a parent run per family, a child run per trial.

What is written here mirrors Optuna's storage, for people to look at; nothing is decided by what stands here.
"""

import json
import logging
import platform
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME

from ...datasets import Prepared
from ..errors import TrackingError
from ..study.study import Family, Study
from .mlflow_address import answers_of
from .mlflow_views import MODELS_VIEW, TRIALS_VIEW, experiment_tags, family_note

State = Literal["running", "finished", "pruned", "failed", "interrupted"]

# A pruned trial did what it was meant to do; the tag tells it from one that ran to its end.
MLFLOW_STATUS: dict[State, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}

RECORDED_PACKAGES = ("optrack", "torch", "torchvision", "optuna", "mlflow", "numpy")

PARAM_LIMIT = 6000
"""Characters that MLflow keeps of a parameter's value."""


class Tracker:
    """Writes one study's runs.

    Args:
        uri: MLflow's tracking URI.
        study: what is searched.
        data: the prepared images, for digest and source.
    """

    def __init__(self, uri: str, study: Study, data: Prepared) -> None:
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # what goes wrong comes as an exception
        logging.getLogger("alembic").setLevel(logging.CRITICAL)
        self.uri = uri
        self._study = study
        self._data = data
        self._unclaimed: dict[tuple[str, int], str] = {}
        with answers_of(uri):
            self._client = MlflowClient(tracking_uri=uri)
            self.experiment_id = self._open_experiment()
            self._describe_experiment()
        self._tags = {
            "optrack.study": study.name,
            "optrack.versions": ", ".join(f"{name} {version(name)}" for name in RECORDED_PACKAGES),
            "optrack.python": platform.python_version(),
            MLFLOW_SOURCE_NAME: f"optrack run {study.name}",
            **_git_tags(),
        }

    def open_family(self, family: Family) -> str:
        """The family's run, made when there is none, running from now on; its run ID."""
        with answers_of(self.uri):
            found = self._family_run(family.name)
            if found is not None:
                self._client.update_run(found.info.run_id, status="RUNNING")
                run_id = found.info.run_id
            else:
                run_id = self._create_run(family.name, {"optrack.stage": "family", "optrack.family": family.name})
                self._client.log_param(run_id, "architecture", family.architecture)
                self._client.log_inputs(run_id, [self._dataset_input()])
            self._client.set_tag(run_id, "optrack.state", "running")
            self._client.set_tag(run_id, "mlflow.note.content", family_note(self._study, family))
            self._unclaimed |= self._left_running(run_id, family)
            return run_id

    def open_trial(
        self,
        parent: str,
        family: Family,
        trial: int,
        *,
        known_run: str | None,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """A trial's run under its family's; an interrupted trial goes on in the run that it had.

        Args:
            parent: run ID of the family.
            family: what the trial belongs to.
            trial: its number.
            known_run: run ID that was recorded when the trial was begun before.
            params: its configuration.
            tags: seed, device and so on.
        """
        with answers_of(self.uri):
            own = {
                "mlflow.parentRunId": parent,
                "optrack.stage": "search",
                "optrack.family": family.name,
                "optrack.trial": str(trial),
            }
            left = self._unclaimed.pop((family.name, trial), None)
            return self._open_run(f"{family.name} {trial}", known_run, left, own, params, tags)

    def open_model(
        self,
        parent: str,
        name: str,
        *,
        known_run: str | None,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """The run of a training outside of the search, under its family's; an interrupted one goes on in its run.

        Args:
            parent: run ID of the family.
            name: what the table of runs shows.
            known_run: run ID of the interrupted training.
            params: its configuration.
            tags: stage, seed, device and so on.
        """
        with answers_of(self.uri):
            own = {"mlflow.parentRunId": parent, MLFLOW_SOURCE_NAME: f"optrack retrain {self._study.name}"}
            return self._open_run(name, known_run, None, own, params, tags)

    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        """A folder as an artifact of a run."""
        with answers_of(self.uri):
            self._client.log_artifacts(run_id, str(folder), name)

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        """A tag of a run."""
        with answers_of(self.uri):
            self._client.set_tag(run_id, name, value)

    def logged_epochs(self, run_id: str) -> int:
        """How many epochs of a run are recorded already."""
        with answers_of(self.uri):
            return max((metric.step for metric in self._client.get_metric_history(run_id, "train_loss")), default=0)

    def log_epoch(self, run_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch's metrics in one call, which returns when they are stored."""
        with answers_of(self.uri):
            self._client.log_batch(run_id, metrics=_metrics(metrics, step=epoch))

    def close_run(
        self, run_id: str, state: State, *, metrics: Mapping[str, float] | None = None, reason: str | None = None
    ) -> None:
        """End a run with its state.

        Args:
            run_id: of a trial or a family.
            state: how it ended.
            metrics: of the best epoch, so that MLflow's table, which shows last values, has the best ones.
            reason: why, where that is not plain.
        """
        with answers_of(self.uri):
            tags = [RunTag("optrack.state", state)]
            if reason:
                tags.append(RunTag("optrack.reason", reason[:PARAM_LIMIT]))
            step = int((metrics or {}).get("epoch", 0))
            best = {f"best/{name}": value for name, value in (metrics or {}).items()}
            self._client.log_batch(run_id, metrics=_metrics(best, step=step), tags=tags)
            self._client.set_terminated(run_id, MLFLOW_STATUS[state])

    def log_text(self, run_id: str, text: str, file: str) -> None:
        """A text as an artifact of a run."""
        with answers_of(self.uri):
            self._client.log_text(run_id, text, file)

    def log_file(self, run_id: str, content: bytes, file: str) -> None:
        """Bytes as an artifact of a run."""
        with tempfile.TemporaryDirectory() as folder, answers_of(self.uri):
            path = Path(folder) / Path(file).name
            path.write_bytes(content)
            self._client.log_artifact(run_id, str(path), str(Path(file).parent))

    def log_best(
        self, family_run: str, *, weights: Path | None, configuration: Mapping[str, Any], metrics: Mapping[str, float]
    ) -> None:
        """The family's best trial so far: weights and configuration as artifacts, figures as metrics of its run."""
        with answers_of(self.uri):
            if weights is not None:
                self._client.log_artifact(family_run, str(weights), "best")
            text = json.dumps(configuration, indent=2)
            self._client.log_text(family_run, text, "best/configuration.json")
            entries = _metrics({f"best/{name}": value for name, value in metrics.items()}, step=0)
            self._client.log_batch(
                family_run, metrics=entries, tags=[RunTag("optrack.best_trial", str(configuration["trial"]))]
            )

    def _open_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._study.name)
        if found is None:
            return self._client.create_experiment(self._study.name, artifact_location=self._artifact_location())
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"MLflow's experiment {self._study.name!r} was deleted: restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or rename the study"
            )
        return found.experiment_id

    def _artifact_location(self) -> str | None:
        """Beside a SQLite file, whatever the current folder; a server decides for itself."""
        if not self.uri.startswith("sqlite"):
            return None
        database = sqlalchemy.make_url(self.uri).database
        return str(Path(database or "").absolute().parent / "mlruns" / self._study.name)

    def _describe_experiment(self) -> None:
        for name, value in experiment_tags(self._study, self._data).items():
            self._client.set_experiment_tag(self.experiment_id, name, value)

    def _create_run(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self.experiment_id, run_name=name, tags={**self._tags, **tags})
        return run.info.run_id

    def _open_run(
        self,
        name: str,
        known_run: str | None,
        left: str | None,
        own: Mapping[str, str],
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """A run that is running: the known one, or the one that a dead process left, or a new one."""
        run_id = known_run
        if run_id is None:
            # All at once: whoever finds the run of a process that died just then must know what it is.
            run_id = left or self._create_run(name, {**own, **tags, "optrack.state": "running"})
            entries = [Param(key, str(value)[:PARAM_LIMIT]) for key, value in params.items()]
            self._client.log_batch(run_id, params=entries)
            self._client.log_inputs(run_id, [self._dataset_input()])
        else:
            self._client.update_run(run_id, status="RUNNING")
        state = [RunTag("optrack.state", "running"), *(RunTag(key, value) for key, value in tags.items())]
        self._client.log_batch(run_id, tags=state)
        return run_id

    def _family_run(self, family: str) -> Run | None:
        query = f"tags.`optrack.stage` = 'family' and tags.`optrack.family` = '{family}'"
        return next(iter(self._client.search_runs([self.experiment_id], query, max_results=1)), None)

    def _left_running(self, parent: str, family: Family) -> dict[tuple[str, int], str]:
        """The runs of trials whose process died before Optuna heard of them."""
        mine = f"tags.`mlflow.parentRunId` = '{parent}' and tags.`optrack.stage` = 'search'"
        query = f"attributes.status = 'RUNNING' and {mine}"
        runs = self._client.search_runs([self.experiment_id], query)
        return {(family.name, int(run.data.tags["optrack.trial"])): run.info.run_id for run in runs}

    def _dataset_input(self) -> DatasetInput:
        channels, height, width = self._data.input_shape
        dataset = Dataset(
            name=self._data.name[:500],
            digest=self._data.digest[:36],
            source_type="local",
            source=json.dumps({"layout": self._data.layout}),
            schema=json.dumps({"input": [channels, height, width], "classes": list(self._data.classes)})[:60_000],
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])


def study_links(uri: str, address: str) -> list[tuple[str, str]]:
    """The tables of the studies that MLflow knows, by what they hold: trials, and retrained models, best first.

    Left alone, MLflow opens an experiment on an empty page of traces.

    Args:
        uri: MLflow's tracking URI.
        address: of its server, e.g. "http://127.0.0.1:5000".
    """
    with answers_of(uri):
        experiments = MlflowClient(tracking_uri=uri).search_experiments(filter_string="tags.`optrack.study` != ''")
    page = "runs?workflowType=machine_learning&viewStateShareKey"
    return [
        (f"{what} of {item.name}", f"{address}/#/experiments/{item.experiment_id}/{page}={view}")
        for item in experiments
        for what, view in (("trials", TRIALS_VIEW), ("retrained models", MODELS_VIEW))
    ]


def _metrics(values: Mapping[str, float], *, step: int) -> list[Metric]:
    now = time.time_ns() // 1_000_000
    return [Metric(name, float(value), now, step) for name, value in values.items()]


def _git_tags() -> dict[str, str]:
    """The commit of the current folder; not the remote's address, which may hold a password."""
    commit = get_git_commit(str(Path.cwd()))
    return {MLFLOW_GIT_COMMIT: commit} if commit else {}
