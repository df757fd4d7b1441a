"""MLflow's side of the record: an experiment per study, a parent run per family, a child run per trial or model.

What is written here mirrors Optuna's storage, for people to look at; nothing is decided by what stands here.
"""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import sqlalchemy
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.git_utils import get_git_commit
from typing_extensions import override

from ...datasets import Prepared
from ..errors import TrackingError
from ..study.study import Family, Study
from .mlflow_address import answers_of
from .mlflow_names import (
    COMMAND_TAG,
    COMMIT_TAG,
    FAMILY_STAGE,
    FAMILY_TAG,
    NOTE_TAG,
    PARENT_TAG,
    PYTHON_TAG,
    SEARCH_STAGE,
    STAGE_TAG,
    STATE_TAG,
    STUDY_TAG,
    TRIAL_TAG,
    VERSIONS_TAG,
    tagged,
)
from .mlflow_store import MlflowWriter
from .mlflow_views import experiment_tags, family_note
from .tracking import State, Tracker

# A pruned trial did what it was meant to do; the tag tells it from one that ran to its end.
MLFLOW_STATUS: dict[State, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}

RUNNING = {STATE_TAG: "running"}

RECORDED_PACKAGES = ("optrack", "torch", "torchvision", "optuna", "mlflow", "numpy")


class MlflowTracker(MlflowWriter, Tracker):
    """Records one study in MLflow.

    Args:
        uri: MLflow's tracking URI.
        study: what is searched.
        data: the prepared images, for digest and source.

    Raises:
        TrackingError: MLflow does not answer, or the study's experiment was deleted.
    """

    def __init__(self, uri: str, study: Study, data: Prepared) -> None:
        super().__init__(uri)
        self._study = study
        self._data = data
        self._unclaimed: dict[tuple[str, int], str] = {}
        commit = get_git_commit(str(Path.cwd()))  # not the remote's address, which may hold a password
        self._tags = {
            STUDY_TAG: study.name,
            VERSIONS_TAG: ", ".join(f"{name} {version(name)}" for name in RECORDED_PACKAGES),
            PYTHON_TAG: platform.python_version(),
            COMMAND_TAG: f"optrack run {study.name}",
            **({COMMIT_TAG: commit} if commit else {}),
        }
        with answers_of(uri):
            self.experiment_id = self._open_experiment()

    @override
    def open_family(self, family: Family) -> str:
        tags = {**RUNNING, NOTE_TAG: family_note(self._study, family)}
        query = f"{tagged(STAGE_TAG, FAMILY_STAGE)} and {tagged(FAMILY_TAG, family.name)}"
        with answers_of(self.uri):
            found = self._client.search_runs([self.experiment_id], query, max_results=1)
            if not found:
                own = {STAGE_TAG: FAMILY_STAGE, FAMILY_TAG: family.name}
                return self._create_run(family.name, {"architecture": family.architecture}, {**own, **tags})
            run_id = found[0].info.run_id
            self._client.update_run(run_id, status="RUNNING")
            self._unclaimed |= self._left_running(run_id, family)
        self.log(run_id, tags=tags)
        return run_id

    @override
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
        own = {PARENT_TAG: parent, STAGE_TAG: SEARCH_STAGE, FAMILY_TAG: family.name, TRIAL_TAG: str(trial)}
        left = self._unclaimed.pop((family.name, trial), None)
        if known_run is None and left is not None:
            self._describe_run(left, params)  # its process may have died before that
        return self._open_run(f"{family.name} {trial}", known_run or left, params, own, tags)

    @override
    def open_model(
        self,
        parent: str,
        name: str,
        *,
        known_run: str | None,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        own = {PARENT_TAG: parent, COMMAND_TAG: f"optrack retrain {self._study.name}"}
        return self._open_run(name, known_run, params, own, tags)

    @override
    def logged_epochs(self, run_id: str) -> int:
        with answers_of(self.uri):
            return max((metric.step for metric in self._client.get_metric_history(run_id, "train_loss")), default=0)

    @override
    def end_run(self, run_id: str, state: State) -> None:
        with answers_of(self.uri):
            self._client.set_terminated(run_id, MLFLOW_STATUS[state])

    def _open_experiment(self) -> str:
        name, tags = self._study.name, experiment_tags(self._study, self._data)
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return self._client.create_experiment(name, artifact_location=self._artifact_location(), tags=tags)
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"MLflow's experiment {name!r} was deleted: restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or rename the study"
            )
        for tag, value in tags.items():
            if found.tags.get(tag) != value:
                self._client.set_experiment_tag(found.experiment_id, tag, value)
        return found.experiment_id

    def _artifact_location(self) -> str | None:
        """Return the folder beside a SQLite file, whatever the current folder; a server decides for itself."""
        if not self.uri.startswith("sqlite"):
            return None
        database = sqlalchemy.make_url(self.uri).database
        return str(Path(database or "").absolute().parent / "mlruns" / self._study.name)

    def _open_run(
        self,
        name: str,
        known_run: str | None,
        params: Mapping[str, object],
        own: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> str:
        """Return a run that is running: the known one, which keeps its parameters, or a new one."""
        if known_run is None:
            return self._create_run(name, params, {**own, **tags, **RUNNING})
        with answers_of(self.uri):
            self._client.update_run(known_run, status="RUNNING")
        self.log(known_run, tags={**tags, **RUNNING})
        return known_run

    def _create_run(self, name: str, params: Mapping[str, object], tags: Mapping[str, str]) -> str:
        with answers_of(self.uri):
            # All tags at once: whoever finds the run of a process that died just then must know what it is.
            run = self._client.create_run(self.experiment_id, run_name=name, tags={**self._tags, **tags})
        self._describe_run(run.info.run_id, params)
        return run.info.run_id

    def _describe_run(self, run_id: str, params: Mapping[str, object]) -> None:
        self.log(run_id, params=params)
        with answers_of(self.uri):
            self._client.log_inputs(run_id, [self._dataset_input()])

    def _left_running(self, parent: str, family: Family) -> dict[tuple[str, int], str]:
        """Return the runs of trials whose process died before Optuna heard of them."""
        mine = f"{tagged(PARENT_TAG, parent)} and {tagged(STAGE_TAG, SEARCH_STAGE)}"
        runs = self._client.search_runs([self.experiment_id], f"attributes.status = 'RUNNING' and {mine}")
        return {(family.name, int(run.data.tags[TRIAL_TAG])): run.info.run_id for run in runs}

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
