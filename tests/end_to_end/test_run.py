"""`optrack run` in all its forms, each on a study that is over in a moment."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState
from PIL import Image

from optrack.search.stores import read_storage, stored_families

Run = Callable[..., subprocess.CompletedProcess[str]]

INLINE = ("--launcher", "inline", "--threads", "1")


def trials(name: str, folder: Path = Path()) -> list[FrozenTrial]:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/optuna.db").trials


def epochs(name: str) -> int:
    return sum(len(trial.intermediate_values) for trial in trials(name))


def mlflow() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")


def outcome(trial: FrozenTrial) -> tuple[Any, ...]:
    return trial.number, trial.state, trial.params, trial.value, trial.intermediate_values


def statuses(experiment_name: str) -> dict[str, str]:
    client = mlflow()
    experiment = client.get_experiment_by_name(experiment_name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {str(run.info.run_name): f"{run.info.status} {run.data.tags['optrack.state']}" for run in runs}


def test_one_worker_and_inline_give_the_same_trials(optrack: Run, tiny: str, searched: Path) -> None:
    assert optrack("run", tiny, *INLINE).returncode == 0
    for family in ("tiny/linear", "tiny/deep"):
        assert [outcome(trial) for trial in trials(family)] == [outcome(trial) for trial in trials(family, searched)]


def test_a_finished_study_trains_nothing_more(optrack: Run, small: str) -> None:
    assert optrack("run", small, *INLINE).returncode == 0
    before = trials("small/linear") + trials("small/deep")
    again = optrack("run", small, *INLINE)
    assert again.returncode == 0
    assert trials("small/linear") + trials("small/deep") == before
    assert ": finished" not in again.stderr
    assert "small: best configuration of each family" in again.stdout


def test_only_the_named_families_are_searched(optrack: Run, small: str) -> None:
    assert optrack("run", small, *INLINE, "--family", "deep").returncode == 0
    assert optuna.get_all_study_names("sqlite:///optuna.db") == ["small/deep"]
    assert statuses("small") == dict.fromkeys(("deep", "deep 0", "deep 1"), "FINISHED finished")


def test_a_sampler_and_its_options_can_be_chosen(optrack: Run, small: str) -> None:
    command = ("run", small, *INLINE, "--family", "deep", "--epochs", 1, "--trials", 9)
    assert optrack(*command, "--sampler", "grid").returncode == 0
    cells = [tuple(trial.params.values()) for trial in trials("small/deep")]
    assert len(cells) == len(set(cells)) == 4


def test_sampler_options_reach_the_sampler(optrack: Run, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    make = optuna.samplers.TPESampler

    def remember(**options: Any) -> optuna.samplers.TPESampler:
        seen.append(options)
        return make(**options)

    monkeypatch.setattr(optuna.samplers, "TPESampler", remember)
    options = ("--sampler-option", "n_startup_trials=1", "--sampler-option", "multivariate=false")
    assert optrack("run", small, *INLINE, "--family", "deep", "--epochs", 1, "--trials", 1, *options).returncode == 0
    chosen = [options for options in seen if "n_startup_trials" in options]  # others are Optuna's own
    assert chosen
    assert {(options["n_startup_trials"], options["multivariate"]) for options in chosen} == {(1, False)}


def test_the_budget_of_epochs_is_met_exactly(optrack: Run, small: str) -> None:
    command = ("run", small, *INLINE, "--family", "linear", "--trials", 9, "--epochs", 3)
    assert optrack(*command, "--total-epochs", 5).returncode == 0
    assert epochs("small/linear") == 5
    assert optrack(*command, "--total-epochs", 7).returncode == 0
    assert epochs("small/linear") == 7


def test_a_run_out_of_time_exits_with_0_and_can_go_on(optrack: Run, small: str) -> None:
    family = ("--family", "linear")
    stopped = optrack("run", small, *INLINE, *family, "--trials", 2, "--epochs", 60, "--timeout", 0.3)
    assert stopped.returncode == 0
    assert "the time is up: `optrack run small.py " in stopped.stderr
    waiting = [trial for trial in trials("small/linear") if trial.state == TrialState.WAITING]
    assert len(waiting) >= 1
    assert statuses("small")["linear"] == "KILLED interrupted"
    assert optrack("run", small, *INLINE, *family, "--trials", 2, "--epochs", 1).returncode == 0
    assert [trial.state for trial in trials("small/linear")] == [TrialState.COMPLETE] * 2


def test_another_seed_gives_another_search(optrack: Run, small: str) -> None:
    values: list[Any] = []
    for seed in (0, 0, 1):
        storage = f"sqlite:///{len(values)}.db"
        command = ("run", small, *INLINE, "--family", "deep", "--epochs", 1, "--seed", seed, "--storage", storage)
        assert optrack(*command).returncode == 0
        values.append([trial.value for trial in optuna.load_study(study_name="small/deep", storage=storage).trials])
    assert values[0] == values[1] != values[2]


def test_a_shipped_study_runs_by_its_name(optrack: Run, small: str) -> None:
    assert small
    answer = optrack("run", "digits", *INLINE, "--family", "logistic", "--trials", 1, "--epochs", 1)
    assert answer.returncode == 0
    assert "digits: best configuration of each family" in answer.stdout
    assert "  optrack importance digits  #" in answer.stderr
    assert statuses("digits") == dict.fromkeys(("logistic", "logistic 0"), "FINISHED finished")


def test_stores_may_lie_elsewhere_and_the_next_commands_say_so(
    optrack: Run, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("there").mkdir()
    Path("mlflow.db").rename("there/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///there/mlflow.db")
    command = ("run", small, *INLINE, "--family", "linear", "--epochs", 1, "--storage", "sqlite:///there/optuna.db")
    answer = optrack(*command, "--cache-dir", "there/cache")
    assert answer.returncode == 0
    assert {path.name for path in Path().iterdir()} == {"small.py", "there"}
    assert {path.name for path in Path("there").iterdir()} >= {"cache", "mlflow.db", "mlruns", "optuna.db"}
    stores = "--storage sqlite:///there/optuna.db --tracking-uri sqlite:///there/mlflow.db"
    assert f"  optrack retrain small.py {stores} --cache-dir there/cache  #" in answer.stderr
    assert f"  optrack ui {stores}  #" in answer.stderr


def test_failing_trials_are_recorded_and_exit_with_1(optrack: Run, small: str) -> None:
    # So wide that no machine has the memory, which shows when the network is built and not before.
    text = Path(small).read_text().replace("Categorical(8, 16)", "Categorical(8, 10**16)")
    start = '}, options={"depth": 1}, start=[{"width": 10**16}, {"width": 8}]'
    Path(small).write_text(text.replace('"depth": Categorical(1, 2)}', start))
    answer = optrack("run", small, *INLINE, "--family", "deep", "--epochs", 1)
    assert answer.returncode == 1
    assert "\n1 of 2 failed: " in answer.stderr
    assert " --retry-failed` tries them again\n" in answer.stderr
    assert [trial.state for trial in trials("small/deep")] == [TrialState.FAIL, TrialState.COMPLETE]
    assert statuses("small") == {
        "deep": "FINISHED finished",
        "deep 0": "FAILED failed",
        "deep 1": "FINISHED finished",
    }
    client = mlflow()
    run = client.get_run(stored_families(read_storage("sqlite:///optuna.db"), "small")[0].trials[0].mlflow_run or "")
    failure = (Path(str(run.info.artifact_uri)) / "failure.txt").read_text()
    assert failure.startswith("Traceback")
    assert run.data.tags["optrack.reason"].splitlines()[0].removeprefix("out of memory: ") in failure
    start = "deep 0: failed, out of memory: RuntimeError: "
    line = next(line for line in answer.stderr.splitlines() if line.startswith(start))
    assert "width=10000000000000000" in line


def test_a_search_whose_trials_all_diverge_exits_with_1_and_says_so(optrack: Run, small: str) -> None:
    fixed = 'options={"optimizer": "sgd", "lr": 1e30}, space={"width"'
    Path(small).write_text(Path(small).read_text().replace('space={"width"', fixed))
    answer = optrack("run", small, *INLINE, "--family", "deep")
    assert answer.returncode == 1
    assert "\nall trials of deep diverged: no epoch has a finite loss; " in answer.stderr
    assert [trial.state for trial in trials("small/deep")] == [TrialState.PRUNED] * 2


def test_ones_own_images_run_through(optrack: Run, small: str) -> None:
    # Three classes that differ in colour alone.
    generator = np.random.default_rng(0)
    for channel, name in enumerate(("red things", "green", "blue")):
        class_folder = Path("pictures") / name
        class_folder.mkdir(parents=True)
        for number in range(14):
            pixels = generator.integers(0, 60, (10, 12, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(class_folder / f"{number}.png")
    text = Path(small).read_text().replace('Data("digits")', 'Data("image_folder:pictures", image_size=8)')
    Path(small).write_text(text)
    answer = optrack("run", small, *INLINE, "--family", "linear", "--epochs", 8)
    assert answer.returncode == 0
    best = max(trial.value or 0 for trial in trials("small/linear"))
    assert best == 1.0
    configuration = next(Path("mlruns").rglob("configuration.json")).read_text()
    assert '"red things"' in configuration


def test_a_family_whose_trials_fail_for_the_same_reason_stops_after_three(optrack: Run, small: str) -> None:
    space = 'space={"width": Categorical(8, 16), "depth": Categorical(1, 2)}'
    too_wide = f'options={{"depth": 1}}, space={{"width": Categorical({10**16})}}'
    Path(small).write_text(Path(small).read_text().replace(space, too_wide))
    command = ("run", small, *INLINE, "--trials", 4, "--epochs", 1)
    stopped = "deep: stopped, as its first trials all failed for the same reason: out of memory: RuntimeError: "
    for _ in range(2):  # nothing is trained the second time
        answer = optrack(*command)
        assert answer.returncode == 1
        assert any(line.startswith(stopped) for line in answer.stderr.splitlines())
        assert [len(trials(f"small/{family}")) for family in ("linear", "deep")] == [4, 3]
