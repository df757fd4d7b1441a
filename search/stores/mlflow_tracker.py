"""MLflow's side of the record: an experiment per study, a parent run per family, a child run per trial or model.

What is written here mirrors Optuna's storage, for people to look at; nothing is decided by what stands here.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import sqlalchemy
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.git_utils import get_git_commit
from typing_extensions import override

from ...datasets import Prepared
from ..errors import TrackingError
from ..study import Family, Study
from . import mlflow_names as names
from .mlflow_names import tagged
from .mlflow_store import MlflowWriter, answers_of
from .mlflow_views import experiment_tags, family_note
from .tracking import Params, State, Tags, Tracker

# A pruned trial did what it was meant to do; the tag tells it from one that ran to its end.
MLFLOW_STATUS: dict[State, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}

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
        self.left = {}
        self._study = study
        self._data = data
        commit = get_git_commit(str(Path.cwd()))  # not the remote's address, which may hold a password
        self._tags = {
            names.STUDY_TAG: study.name,
            names.VERSIONS_TAG: ", ".join(f"{name} {version(name)}" for name in RECORDED_PACKAGES),
            names.PYTHON_TAG: platform.python_version(),
            **({names.COMMIT_TAG: commit} if commit else {}),
        }
        with answers_of(uri):
            self.experiment_id = self._open_experiment()

    @override
    def open_family(self, family: Family) -> str:
        run_id = super().open_family(family)
        self.log(run_id, tags={names.NOTE_TAG: family_note(self._study, family)})
        return run_id

    @override
    def create_run(self, name: str, tags: Tags) -> str:
        command = "run" if tags[names.STAGE_TAG] in {names.FAMILY_STAGE, names.SEARCH_STAGE} else "retrain"
        own = {names.COMMAND_TAG: f"optrack {command} {self._study.name}", **self._tags}
        with answers_of(self.uri):
            return self._client.create_run(self.experiment_id, run_name=name, tags={**own, **tags}).info.run_id

    @override
    def describe_run(self, run_id: str, params: Params) -> None:
        channels, height, width = self._data.input_shape
        dataset = Dataset(
            name=self._data.name[:500],
            digest=self._data.digest[:36],
            source_type="local",
            source=json.dumps({"layout": self._data.layout}),
            schema=json.dumps({"input": [channels, height, width], "classes": list(self._data.classes)})[:60_000],
        )
        self.log(run_id, params=params)
        with answers_of(self.uri):
            self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])])

    @override
    def resume_run(self, run_id: str) -> None:
        with answers_of(self.uri):
            self._client.update_run(run_id, status="RUNNING")

    @override
    def end_run(self, run_id: str, state: State) -> None:
        with answers_of(self.uri):
            self._client.set_terminated(run_id, MLFLOW_STATUS[state])

    @override
    def family_run(self, family: str) -> str | None:
        query = f"{tagged(names.STAGE_TAG, names.FAMILY_STAGE)} and {tagged(names.FAMILY_TAG, family)}"
        with answers_of(self.uri):
            found = self._client.search_runs([self.experiment_id], query, max_results=1)
        return found[0].info.run_id if found else None

    @override
    def running_trials(self, family_run: str) -> dict[int, str]:
        mine = f"{tagged(names.PARENT_TAG, family_run)} and {tagged(names.STAGE_TAG, names.SEARCH_STAGE)}"
        with answers_of(self.uri):
            runs = self._client.search_runs([self.experiment_id], f"attributes.status = 'RUNNING' and {mine}")
        return {int(run.data.tags[names.TRIAL_TAG]): run.info.run_id for run in runs}

    @override
    def logged_epochs(self, run_id: str) -> int:
        with answers_of(self.uri):
            return max((metric.step for metric in self._client.get_metric_history(run_id, "train_loss")), default=0)

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
