import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from optrack.search import NothingStoredError, TrackingError
from optrack.search.stores.mlflow_store import MlflowRuns, log_report, study_links

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

TAGS = {
    "optrack.family": "linear",
    "optrack.trial": "4",
    "optrack.number": "2",
    "optrack.seed": "123",
    "optrack.training": "abc",
    "optrack.state": "finished",
    "optrack.threads": "1",
}


@pytest.fixture
def uri(tmp_path: Path, empty_mlflow: Path) -> str:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture
def runs(client: MlflowClient, uri: str, tmp_path: Path) -> MlflowRuns:
    """Of a study that has nothing yet."""
    client.create_experiment("tiny", artifact_location=str(tmp_path / "artifacts"))
    return MlflowRuns(uri, "tiny")


def made(runs: MlflowRuns, stage: str, *, started: int | None = None, **changes: str) -> str:
    """A run's ID; `family="deep"` gives another tag `optrack.family`."""
    tags = {**TAGS, "optrack.stage": stage, **{f"optrack.{name}": value for name, value in changes.items()}}
    return MlflowClient(runs.uri).create_run(runs.experiment_id, start_time=started, tags=tags).info.run_id


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_all_runs_of_a_stage_are_found_the_oldest_first(
    page: int, runs: MlflowRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = {second: made(runs, "retrain", started=second) for second in (3, 1, 5, 2, 4)}
    made(runs, "confirm")
    made(runs, "search")
    monkeypatch.setattr(MlflowClient, "search_runs", _in_pages(page))
    assert [run.run_id for run in runs.find("retrain")] == [starts[second] for second in sorted(starts)]
    assert [run.stage for run in runs.find("confirm")] == ["confirm"]


def _in_pages(size: int) -> Any:
    search: Any = MlflowClient.search_runs

    def smaller(client: MlflowClient, *arguments: Any, **options: Any) -> Any:
        return search(client, *arguments, max_results=size, **options)

    return smaller


def test_runs_of_another_study_and_deleted_ones_are_not_found(runs: MlflowRuns, client: MlflowClient) -> None:
    other = client.create_experiment("tiny.2")
    client.create_run(other, tags={**TAGS, "optrack.stage": "retrain"})
    client.delete_run(made(runs, "retrain"))
    assert runs.find("retrain") == []


@pytest.mark.parametrize("name", ["model", "model/weights"])
def test_an_artifact_that_is_gone_is_named_with_the_way_out(name: str, runs: MlflowRuns, tmp_path: Path) -> None:
    run_id = made(runs, "retrain")
    runs.log_file(run_id, "model/weights", b"weights")
    shutil.rmtree(tmp_path / "artifacts" / run_id / "artifacts" / "model")
    with pytest.raises(TrackingError, match=f"the artifact {name} of run {run_id} is gone from .*mlflow.db") as caught:
        runs.read(run_id, name)
    assert "delete the run, and `optrack retrain tiny` makes it again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_report_has_one_run_whatever_is_reported(runs: MlflowRuns, client: MlflowClient) -> None:
    for page in (b"<p>first</p>", b"<p>second</p>"):
        log_report(runs.uri, "tiny", page)
        [run] = client.search_runs([runs.experiment_id])
        assert runs.read(run.info.run_id, "report.html") == page
        assert (run.info.run_name, run.info.status) == ("report", "FINISHED")


def test_a_study_that_mlflow_does_not_know_is_said_to_be_unknown(client: MlflowClient, runs: MlflowRuns) -> None:
    with pytest.raises(NothingStoredError, match=r"mlflow\.db has no experiment 'tin': give the --tracking-uri"):
        MlflowRuns(runs.uri, "tin")
    client.delete_experiment(runs.experiment_id)
    with pytest.raises(NothingStoredError, match="has no experiment 'tiny'"):
        MlflowRuns(runs.uri, "tiny")


def test_where_there_are_no_records_none_are_made(tmp_path: Path) -> None:
    with pytest.raises(NothingStoredError, match=r"mlflow\.db has no experiment 'tiny'"):
        MlflowRuns(f"sqlite:///{tmp_path}/mlflow.db", "tiny")
    with pytest.raises(TrackingError, match="there is no folder"):
        MlflowRuns(f"sqlite:///{tmp_path}/missing/mlflow.db", "tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: str) -> bool:
        return False

    monkeypatch.setattr("optrack.search.stores.mlflow_store.check_tracking", never)
    monkeypatch.setattr("optrack.search.stores.mlflow_store.has_records", never)
    with pytest.raises(NothingStoredError, match=r"MLflow at postgresql://me:\*\*\*@host/name has no experiment"):
        MlflowRuns("postgresql://me:SECRET@host/name", "tiny")


def test_a_report_of_a_study_that_mlflow_does_not_know_is_refused(runs: MlflowRuns) -> None:
    with pytest.raises(NothingStoredError, match="has no experiment 'tin'"):
        log_report(runs.uri, "tin", b"<p>page</p>")


def test_the_links_lead_to_the_trials_and_models_of_our_studies_alone(uri: str, client: MlflowClient) -> None:
    client.create_experiment("somebody else's")
    ours = client.create_experiment("mine", tags={"optrack.study": "mine"})
    page = f"http://127.0.0.1:5000/#/experiments/{ours}/runs?workflowType=machine_learning&viewStateShareKey"
    assert study_links(uri, "http://127.0.0.1:5000") == [
        ("trials of mine", f"{page}=trials"),
        ("retrained models of mine", f"{page}=models"),
    ]
