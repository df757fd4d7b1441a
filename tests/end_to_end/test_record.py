"""What a search leaves behind: in MLflow, in Optuna's storage, and on the disk."""

import json
import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from optrack.search import Study
from optrack.search.stores import StoredFamily, read_storage, stored_families
from optrack.search.study.lookup import load_study

FAMILIES = ("linear", "deep")
METRICS = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"}
STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned"}


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def all_runs(folder: Path, query: str = "") -> list[Run]:
    mlflow = client(folder)
    experiment = mlflow.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(mlflow.search_runs([experiment.experiment_id], query, order_by=["attributes.start_time"]))


def family_run(folder: Path, family: str) -> Run:
    (run,) = all_runs(folder, f"tags.`optrack.stage` = 'family' and tags.`optrack.family` = '{family}'")
    return run


def trials(folder: Path, family: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name=f"tiny/{family}", storage=f"sqlite:///{folder}/optuna.db").trials


def stored(folder: Path) -> dict[str, StoredFamily]:
    return {family.name: family for family in stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), "tiny")}


def pairs(folder: Path) -> list[tuple[Run, FrozenTrial]]:
    """Every trial's run with Optuna's trial."""
    runs = {
        (run.data.tags["optrack.family"], int(run.data.tags["optrack.trial"])): run
        for run in all_runs(folder, "tags.`optrack.stage` = 'search'")
    }
    return [(runs[family, trial.number], trial) for family in FAMILIES for trial in trials(folder, family)]


def artifact(run: Run, path: str) -> Path:
    return Path(str(run.info.artifact_uri)) / path


def test_a_search_exits_with_0_both_times(answers: list[subprocess.CompletedProcess[str]]) -> None:
    assert [answer.returncode for answer in answers] == [0, 0]


def test_the_experiment_is_named_after_the_study(searched: Path) -> None:
    assert {experiment.name for experiment in client(searched).search_experiments()} == {"Default", "tiny"}


def test_every_family_is_a_run_and_every_trial_is_a_run_in_it(searched: Path) -> None:
    assert len(all_runs(searched)) == 2 + 2 * 3
    parents = {family: family_run(searched, family) for family in FAMILIES}
    assert not any("mlflow.parentRunId" in parent.data.tags for parent in parents.values())
    for run, _ in pairs(searched):
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == parents[tags["optrack.family"]].info.run_id
        assert run.info.run_name == f"{tags['optrack.family']} {tags['optrack.trial']}"


def test_mlflow_and_optuna_have_the_same_epochs_each_once(searched: Path) -> None:
    mlflow = client(searched)
    for run, trial in pairs(searched):
        for name in METRICS:
            history = mlflow.get_metric_history(run.info.run_id, name)
            assert [entry.step for entry in history] == list(trial.intermediate_values)
        history = mlflow.get_metric_history(run.info.run_id, "val_accuracy")
        assert {entry.step: entry.value for entry in history} == trial.intermediate_values
        assert list(trial.intermediate_values) == list(range(1, len(history) + 1))


def test_the_states_of_trials_are_told_by_tag_and_status(searched: Path) -> None:
    states = {(run.data.tags["optrack.family"], trial.number): trial.state for run, trial in pairs(searched)}
    for family in FAMILIES:
        assert (states[family, 0], states[family, 1]) == (TrialState.COMPLETE, TrialState.PRUNED)
    for run, trial in pairs(searched):
        assert run.data.tags["optrack.state"] == STATES[trial.state]
        assert run.info.status == "FINISHED"
        assert ("optrack.reason" in run.data.tags) == (trial.state == TrialState.PRUNED)
    pruned = next(run for run, trial in pairs(searched) if trial.state == TrialState.PRUNED)
    assert pruned.data.tags["optrack.reason"] == "pruned after epoch 1 by median"


def test_a_trial_that_runs_to_its_end_has_all_epochs_and_a_pruned_one_fewer(searched: Path) -> None:
    for _, trial in pairs(searched):
        expected = 3 if trial.state == TrialState.COMPLETE else len(trial.intermediate_values)
        assert len(trial.intermediate_values) == expected <= 3


def test_no_run_is_left_running(searched: Path) -> None:
    assert {run.info.status for run in all_runs(searched)} == {"FINISHED"}
    assert all(run.info.end_time is not None for run in all_runs(searched))


def test_the_parameters_are_the_configuration_with_what_is_fixed(searched: Path) -> None:
    families = {family.name: family for family in load_study(str(searched / "tiny.py")).families}
    for run, trial in pairs(searched):
        family = families[run.data.tags["optrack.family"]]
        expected = {"architecture": family.architecture, **family.options, **trial.params}
        assert run.data.params == {name: str(value) for name, value in expected.items()}
        assert ("momentum" in run.data.params) == (run.data.params.get("optimizer") == "sgd")


def test_the_tags_say_what_a_run_came_from(searched: Path) -> None:
    for run, trial in pairs(searched):
        tags = run.data.tags
        assert tags["optrack.study"] == "tiny"
        assert tags["optrack.seed"] == str(trial.user_attrs["seed"])
        assert (tags["optrack.device"], tags["optrack.threads"]) == ("cpu", "1")
        assert {"optrack", "torch", "optuna", "mlflow"} <= {
            part.split()[0] for part in tags["optrack.versions"].split(", ")
        }
        assert tags["optrack.python"].count(".") == 2
        family = stored(searched)[tags["optrack.family"]]
        assert family.trials[trial.number].mlflow_run == run.info.run_id
    assert len({run.data.tags["optrack.seed"] for run, _ in pairs(searched)}) == 6


def test_the_best_epoch_stands_in_mlflows_table(searched: Path) -> None:
    for run, trial in pairs(searched):
        best = max(trial.intermediate_values.values())
        epoch = next(step for step, value in trial.intermediate_values.items() if value == best)
        assert run.data.metrics["best/val_accuracy"] == best
        assert run.data.metrics["best/epoch"] == epoch == trial.user_attrs["best_epoch"]
        assert {f"best/{name}" for name in METRICS} <= set(run.data.metrics)
        if trial.state == TrialState.COMPLETE:
            assert trial.value == best


def test_every_run_names_the_images_by_digest(searched: Path) -> None:
    for run in all_runs(searched):
        assert run.inputs is not None
        (entry,) = run.inputs.dataset_inputs
        family = run.data.tags["optrack.family"]
        assert entry.dataset.name == "digits"
        assert stored(searched)[family].kept["optrack.data"]["digest"].startswith(entry.dataset.digest)
        assert len(entry.dataset.digest) == 36
        assert json.loads(str(entry.dataset.schema))["input"] == [1, 8, 8]


def test_the_study_is_kept_as_json_with_each_family(searched: Path) -> None:
    study = load_study(str(searched / "tiny.py"))
    for family in FAMILIES:
        assert Study.from_json(artifact(family_run(searched, family), "study.json").read_bytes()) == study
        assert stored(searched)[family].study == study


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_weights_give_the_recorded_accuracy(family: str, searched: Path) -> None:
    import torch
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

    from optrack.architectures import architecture
    from optrack.datasets import DataRequest, open_prepared, prepare

    parent = family_run(searched, family)
    configuration: dict[str, Any] = json.loads(artifact(parent, "best/configuration.json").read_text())
    best = max((trial for trial in trials(searched, family) if trial.value is not None), key=lambda trial: trial.values)
    assert (configuration["trial"], configuration["value"]) == (best.number, best.value)
    assert (configuration["family"], configuration["epoch"]) == (family, best.user_attrs["best_epoch"])

    prepared = prepare(
        DataRequest(
            "digits",
            image_size=None,
            validation=0.25,
            split_seed=0,
            data_dir=searched / "data",
            cache_dir=searched / ".optrack/cache",
        )
    )
    data = open_prepared(prepared)
    assert configuration["data"]["digest"] == data.digest
    model = architecture(configuration["architecture"])(
        tuple(configuration["input"]), len(configuration["classes"]), **configuration["model"]
    )
    model.load_state_dict(load_file(str(artifact(parent, "best/weights.safetensors"))))
    model.eval()
    mean, std = (torch.tensor(configuration[name]).view(1, -1, 1, 1) * 255 for name in ("mean", "std"))
    images = (torch.from_numpy(data.images[data.validation]).float() - mean) / std.clamp_min(1)
    with torch.inference_mode():
        right = model(images).argmax(1) == torch.from_numpy(data.labels[data.validation])
    assert right.double().mean().item() == pytest.approx(best.value, abs=1e-9)


def test_weights_of_other_trials_are_nowhere(searched: Path) -> None:
    kept = [path for path in searched.rglob("*") if path.suffix in {".safetensors", ".pt", ".pth"}]
    runs = {family_run(searched, family).info.run_id for family in FAMILIES}
    beside = {
        f".optrack/best/tiny/{name}/{family.best.number}" for name, family in stored(searched).items() if family.best
    }
    assert {str(path.relative_to(searched).parent) for path in kept} == {
        f"mlruns/tiny/{run}/artifacts/best" for run in runs
    } | beside
    assert not list((searched / ".optrack" / "weights").glob("tiny/**/*"))


def test_the_family_shows_its_best_trial(searched: Path) -> None:
    for family in FAMILIES:
        parent = family_run(searched, family)
        best = int(parent.data.tags["optrack.best_trial"])
        assert parent.data.metrics["best/val_accuracy"] == trials(searched, family)[best].value
        assert parent.data.tags["optrack.state"] == "finished"
        assert f"Family **{family}** of study **tiny**" in parent.data.tags["mlflow.note.content"]


def test_the_experiment_describes_itself_and_brings_its_views(searched: Path) -> None:
    experiment = client(searched).get_experiment_by_name("tiny")
    assert experiment is not None
    tags = experiment.tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.note.content"].startswith("# tiny\n\nSearch on **digits** (1 x 8 x 8, 10 classes")
    views = {name: json.loads(value) for name, value in tags.items() if name.startswith("mlflow.sharedViewState.")}
    assert set(views) == {f"mlflow.sharedViewState.{name}" for name in ("trials", "families", "models")}
    trial_view = views["mlflow.sharedViewState.trials"]
    assert (trial_view["orderByKey"], trial_view["orderByAsc"]) == ("metrics.`best/val_accuracy`", False)
    assert {"params.`lr`", "params.`momentum`", "tags.`optrack.state`"} <= set(trial_view["selectedColumns"])


def test_more_trials_add_the_difference_and_leave_the_old_ones_alone(searched: Path) -> None:
    first = searched.parent / "first"
    for family in FAMILIES:
        before, after = trials(first, family), trials(searched, family)
        assert (len(before), len(after)) == (2, 3)
        assert after[:2] == before
    old_runs = {run.info.run_id: run for run, _ in pairs(first)}
    new_runs = {run.info.run_id: run for run, _ in pairs(searched)}
    assert len(old_runs) == 4
    for run_id, old in old_runs.items():
        assert new_runs[run_id].to_dictionary() == old.to_dictionary()
    assert {run.info.status for run in all_runs(first)} == {"FINISHED"}
    assert len(all_runs(first)) == 6


def test_answers_go_to_stdout_and_messages_to_stderr(answers: list[subprocess.CompletedProcess[str]]) -> None:
    first, second = answers
    assert "tiny: best configuration of each family" in first.stdout
    assert {line.split()[0] for line in first.stdout.splitlines()[1:] if line.strip()} >= {"family", "linear", "deep"}
    assert first.stderr.count(": finished, val_accuracy ") == 2
    assert first.stderr.count(": pruned after 1, val_accuracy ") == 2
    assert "linear: 2 of 3 trials ended before" in second.stderr
    assert sum(line.startswith(("linear 2: ", "deep 2: ")) for line in second.stderr.splitlines()) == 2
    for answer in answers:
        assert "Next:\n" in answer.stderr
        assert "Traceback" not in answer.stderr
        assert "Warning" not in answer.stderr


def test_the_next_commands_are_ready_to_be_pasted(answers: list[subprocess.CompletedProcess[str]]) -> None:
    lines = answers[0].stderr.split("Next:\n")[1].splitlines()
    assert [line.split("  # ")[0] for line in lines] == [
        "  optrack importance tiny.py",
        "  optrack ui",
        "  optrack retrain tiny.py",
    ]


def test_only_the_promised_files_lie_in_the_folder(searched: Path) -> None:
    left = json.loads((searched.parent / "left.json").read_text())
    assert left == [".optrack", "mlflow.db", "mlruns", "optuna.db", "tiny.py"]
