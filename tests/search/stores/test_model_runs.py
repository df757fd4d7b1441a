import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from optrack.search import NothingStoredError, TrackingError
from optrack.search.stores.model_runs import CANDIDATE_TAG, OPENINGS_TAG, ModelRun, ModelRuns, race_values

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
def runs(client: MlflowClient, uri: str, tmp_path: Path) -> ModelRuns:
    """Of a study that has nothing yet."""
    client.create_experiment("tiny", artifact_location=str(tmp_path / "artifacts"))
    return ModelRuns(uri, "tiny")


def made(runs: ModelRuns, stage: str, *, started: int | None = None, **changes: str) -> str:
    """A run's ID; `family="deep"` gives another tag `optrack.family`."""
    tags = {**TAGS, "optrack.stage": stage, **{f"optrack.{name}": value for name, value in changes.items()}}
    return MlflowClient(runs.uri).create_run(runs.experiment_id, start_time=started, tags=tags).info.run_id


def test_the_run_of_each_family_is_found_by_its_name(runs: ModelRuns) -> None:
    expected = {name: made(runs, "family", family=name) for name in ("deep", "linear")}
    made(runs, "search")
    assert {name: run.info.run_id for name, run in runs.families().items()} == expected


def test_a_run_is_read_with_all_that_stands_in_it(runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    MlflowClient(runs.uri).log_metric(run_id, "test/accuracy", 0.5)
    [found] = runs.find("retrain")
    assert (found.run_id, found.family, found.stage, found.trial) == (run_id, "linear", "retrain", 4)
    assert (found.number, found.seed, found.training, found.state) == (2, 123, "abc", "finished")
    assert (found.threads, found.metrics) == (1, {"test/accuracy": 0.5})
    assert TAGS.items() <= found.tags.items()


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_all_runs_of_a_stage_are_found_the_oldest_first(
    page: int, runs: ModelRuns, monkeypatch: pytest.MonkeyPatch
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


def test_runs_of_another_study_and_deleted_ones_are_not_found(runs: ModelRuns, client: MlflowClient) -> None:
    other = client.create_experiment("tiny.2")
    client.create_run(other, tags={**TAGS, "optrack.stage": "retrain"})
    client.delete_run(made(runs, "retrain"))
    assert runs.find("retrain") == []


def test_openings_are_counted_from_none_on(runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    assert runs.openings(run_id) == 0
    runs.tag(run_id, OPENINGS_TAG, 2)
    assert runs.openings(run_id) == 2
    assert runs.find("retrain")[0].tags[OPENINGS_TAG] == "2"


def test_epochs_are_put_together_from_their_metrics(runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    client = MlflowClient(runs.uri)
    for epoch, loss in ((2, math.nan), (1, 0.5), (10, 0.25)):
        client.log_metric(run_id, "train_loss", loss, step=epoch)
        client.log_metric(run_id, "seconds", 2.0, step=epoch)
    client.log_metric(run_id, "val_loss", 0.75, step=1)
    client.log_metric(run_id, "best/train_loss", 0.25, step=10)
    first, second, third = runs.epochs(run_id)
    assert first == {"epoch": 1, "train_loss": 0.5, "val_loss": 0.75, "seconds": 2.0}
    assert math.isnan(second["train_loss"])
    assert third == {"epoch": 10, "train_loss": 0.25, "seconds": 2.0}
    assert runs.epochs(made(runs, "retrain")) == ()


def test_metrics_are_added(runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    runs.log_metrics(run_id, {"test/accuracy": 0.5, "test/loss": 2.0})
    assert runs.find("retrain")[0].metrics == {"test/accuracy": 0.5, "test/loss": 2.0}


@pytest.mark.parametrize("content", [b"", bytes(range(256)), b"line\r\nline\n"])
@pytest.mark.parametrize("file", ["note.bin", "test/deep/er/predictions.npz"])
def test_a_file_that_was_written_is_read_again(file: str, content: bytes, runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    runs.log_file(run_id, file, b"before")
    runs.log_file(run_id, file, content)
    assert runs.read(run_id, file) == content


def test_values_are_written_as_json_and_listed_with_their_folder(runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    assert runs.artifacts(run_id, "test") == []
    runs.log_file(run_id, "test/result.json", {"accuracy": 0.5})
    runs.log_file(run_id, "test/more.json", {})
    assert json.loads(runs.read(run_id, "test/result.json")) == {"accuracy": 0.5}
    assert runs.artifacts(run_id, "test") == ["test/more.json", "test/result.json"]


def test_what_is_fetched_is_there_until_the_block_ends(runs: ModelRuns) -> None:
    run_id = made(runs, "retrain")
    runs.log_file(run_id, "model/inner/weights", b"weights")
    with runs.fetched(run_id, "model") as folder:
        assert (folder / "inner" / "weights").read_bytes() == b"weights"
    assert not folder.exists()
    assert runs.read(run_id, "model/inner/weights") == b"weights"


@pytest.mark.parametrize("name", ["model", "model/weights"])
def test_an_artifact_that_is_gone_is_named_with_the_way_out(name: str, runs: ModelRuns, tmp_path: Path) -> None:
    run_id = made(runs, "retrain")
    runs.log_file(run_id, "model/weights", b"weights")
    shutil.rmtree(tmp_path / "artifacts" / run_id / "artifacts" / "model")
    with pytest.raises(TrackingError, match=f"the artifact {name} of run {run_id} is gone from .*mlflow.db") as caught:
        runs.read(run_id, name)
    assert "delete the run, and `optrack retrain tiny` makes it again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_report_has_one_run_whatever_is_reported(runs: ModelRuns, client: MlflowClient) -> None:
    for page in (b"<p>first</p>", b"<p>second</p>"):
        runs.log_report(page)
        [run] = client.search_runs([runs.experiment_id])
        assert runs.read(run.info.run_id, "report.html") == page
        assert (run.info.run_name, run.info.status) == ("report", "FINISHED")


def test_a_study_that_mlflow_does_not_know_is_said_to_be_unknown(client: MlflowClient, runs: ModelRuns) -> None:
    with pytest.raises(NothingStoredError, match=r"mlflow\.db has no experiment 'tin': give the --tracking-uri"):
        ModelRuns(runs.uri, "tin")
    client.delete_experiment(runs.experiment_id)
    with pytest.raises(NothingStoredError, match="has no experiment 'tiny'"):
        ModelRuns(runs.uri, "tiny")


def test_where_there_are_no_records_none_are_made(tmp_path: Path) -> None:
    with pytest.raises(NothingStoredError, match=r"mlflow\.db has no experiment 'tiny'"):
        ModelRuns(f"sqlite:///{tmp_path}/mlflow.db", "tiny")
    with pytest.raises(TrackingError, match="there is no folder"):
        ModelRuns(f"sqlite:///{tmp_path}/missing/mlflow.db", "tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: str) -> bool:
        return False

    monkeypatch.setattr("optrack.search.stores.model_runs.is_there", never)
    with pytest.raises(NothingStoredError, match=r"MLflow at postgresql://me:\*\*\*@host/name has no experiment"):
        ModelRuns("postgresql://me:SECRET@host/name", "tiny")


def raced(family: str, trial: int, number: int, value: float | None, state: str = "finished") -> ModelRun:
    return ModelRun(
        run_id="",
        family=family,
        stage="confirm",
        trial=trial,
        number=number,
        seed=number,
        training="",
        state=state,
        threads=1,
        tags={CANDIDATE_TAG: "0"},
        metrics={} if value is None else {"best/val_loss": value, "best/val_accuracy": -1.0},
    )


@given(order=st.permutations(range(6)))
def test_the_values_of_a_race_stand_in_the_order_of_their_seeds_whatever_was_trained_first(order: list[int]) -> None:
    runs = [raced("f", number // 3, number % 3 + 1, number / 10) for number in order]
    assert race_values(runs, "val_loss") == {"f": {0: [0.0, 0.1, 0.2], 1: [0.3, 0.4, 0.5]}}


def test_the_last_of_two_runs_of_a_seed_counts_and_unfinished_ones_do_not() -> None:
    runs = [
        raced("f", 0, 1, 0.5),
        raced("f", 0, 1, 0.25),
        raced("f", 0, 2, 0.75, "failed"),
        raced("f", 0, 3, 0.75, "interrupted"),
        raced("f", 0, 4, 0.75, "running"),
        raced("f", 1, 1, None),
        raced("g", 0, 1, 0.125),
    ]
    assert race_values(runs, "val_loss") == {"f": {0: [0.25]}, "g": {0: [0.125]}}
    assert race_values([], "val_loss") == {}
