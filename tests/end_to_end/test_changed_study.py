"""A study file that changes between two runs: what is said, what is compared, and how it ends."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from optrack.search.stores import StoredFamily, read_storage, stored_families

Run = Callable[..., subprocess.CompletedProcess[str]]

INLINE = ("--launcher", "inline", "--threads", "1")

SAID = (" → ", "no longer", "new in the study", "again", "not searched", "apart")


def said(answer: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines about what has changed."""
    lines = [line for line in answer.stderr.splitlines() if not line.startswith(" ")]
    return [line for line in lines if any(words in line for words in SAID)]


def change(file: str, *replaced: tuple[str, str]) -> None:
    text = Path(file).read_text()
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    Path(file).write_text(text)


def families(name: str = "small") -> dict[str, StoredFamily]:
    return {family.name: family for family in stored_families(read_storage("sqlite:///optuna.db"), name)}


def apart_in_mlflow(name: str = "small") -> dict[str, str]:
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    tags = {str(run.info.run_name): run.data.tags for run in client.search_runs([experiment.experiment_id])}
    return {run: found["optrack.apart"] for run, found in tags.items() if found.get("optrack.apart")}


def answered(optrack: Run, *arguments: str) -> Any:
    answer = optrack(*arguments, "--json")
    assert answer.returncode == 0
    return json.loads(answer.stdout)


@pytest.fixture
def ran(optrack: Run, small: str) -> str:
    """A study that was searched, and said nothing."""
    answer = optrack("run", small, *INLINE)
    assert answer.returncode == 0
    assert said(answer) == []
    return small


def test_trials_of_another_number_of_epochs_stay_apart_everywhere(optrack: Run, ran: str) -> None:
    assert said(optrack("run", ran, *INLINE)) == []
    change(ran, ("epochs=2", "epochs=3"))
    answer = optrack("run", ran, *INLINE)
    assert answer.returncode == 0
    count = "--trials and --total-epochs count those of 3 epochs alone"
    assert said(answer)[0] == f"epochs 2 → 3: 4 trials of 2 epochs stay, apart from the comparison; {count}"
    assert {name: [trial.number for trial in found.trials] for name, found in families().items()} == {
        "linear": [2, 3],
        "deep": [2, 3],
    }
    best = {row["family"]: row["trial"] for row in answered(optrack, "best", ran)["families"]}
    assert best.keys() == {"linear", "deep"}
    assert min(best.values()) >= 2
    [linear, _] = answered(optrack, "status", ran)["families"]
    assert (linear["trials"]["total"], linear["apart"], linear["epochs"]) == (2, 2, 6)
    assert linear["best"]["trial"] == best["linear"]
    assert "linear: 2 trials of 2 epochs kept apart, as the study has 3 epochs now\n" in optrack("best", ran).stderr
    assert [found["completed"] for found in answered(optrack, "importance", ran)["families"]] == [2, 2]
    assert apart_in_mlflow() == dict.fromkeys(
        ("linear 0", "linear 1", "deep 0", "deep 1"), "2 epochs, and the study has 3"
    )
    assert optrack("report", ran).returncode == 0
    page = Path("small-report.html").read_text()
    assert "2 trials of 2 epochs" in page
    assert f"The configuration of trial {best['linear']}, the best of the search" in page
    assert said(optrack("run", ran, *INLINE)) == []


def test_there_is_no_best_trial_before_one_of_the_new_number_of_epochs_is_finished(optrack: Run, ran: str) -> None:
    stopped = optrack("run", ran, *INLINE, "--epochs", "200", "--timeout", "0.01", "--family", "linear")
    assert stopped.returncode == 0
    assert "kept apart" not in stopped.stdout
    answer = optrack("best", ran, "--json")
    assert [row["family"] for row in json.loads(answer.stdout)["families"]] == ["deep"]
    refused = optrack("retrain", ran, "--family", "linear")
    assert refused.returncode == 2
    missing = "family 'linear' has no finished trial of 200 epochs (kept apart: 2 trials of 2 epochs) yet"
    assert missing in refused.stderr


def test_a_family_that_is_removed_is_named_once_and_stays_in_the_stores(optrack: Run, ran: str) -> None:
    before = Path(ran).read_text()
    line = next(line for line in before.splitlines() if '"deep"' in line)
    change(ran, (line, ""))
    gone = "family 'deep' is no longer in the study: its 2 trials stay in the stores, not in the table"
    answer = optrack("run", ran, *INLINE)
    assert (answer.returncode, said(answer)) == (0, [gone])
    assert "deep" not in answer.stdout
    for command in ("status", "best"):
        assert [row["family"] for row in answered(optrack, command, ran)["families"]] == ["linear"]
    assert set(apart_in_mlflow()) == {"deep 0", "deep 1"}
    assert optrack("sync", ran).returncode == 0  # which knows it still
    assert set(apart_in_mlflow()) == {"deep 0", "deep 1"}
    assert said(optrack("run", ran, *INLINE)) == []
    Path(ran).write_text(before)
    answer = optrack("run", ran, *INLINE)
    assert said(answer) == ["family 'deep' is in the study again, with its 2 trials"]
    assert "deep" in answer.stdout
    assert apart_in_mlflow() == {}


def test_a_renamed_family_begins_anew_and_is_said_to_be_renamed(optrack: Run, ran: str) -> None:
    change(ran, ('"deep"', '"deeper"'))
    answer = optrack("run", ran, *INLINE)
    assert answer.returncode == 0
    [line] = said(answer)
    assert "it was probably renamed, as 'deeper' has the same architecture and space" in line
    assert list(families()) == ["linear", "deeper"]
    change(ran, ('"deeper"', '"deep"'))
    assert optrack("run", ran, *INLINE).returncode == 0
    assert {name: len(found.trials) for name, found in families().items()} == {"linear": 2, "deep": 2}


def test_a_family_that_cannot_be_compared_is_left_out_alone(optrack: Run, ran: str) -> None:
    change(ran, ("Categorical(8, 16)", "Categorical(8, 32)"), ("trials=2", "trials=3"))
    answer = optrack("run", ran, *INLINE)
    assert answer.returncode == 1
    first, *_, last = said(answer)
    refused = "family 'deep' is not searched, as its stored trials cannot be compared with new ones: "
    assert first.startswith(f"{refused}space of width in family 'deep' was")
    assert first.endswith("(rename the family, or give another --storage)")
    assert last == "not searched, as said above: deep"
    assert {name: len(found.trials) for name, found in families().items()} == {"linear": 3, "deep": 2}


@pytest.mark.parametrize(
    ("replaced", "options", "difference"),
    [
        ([("Categorical(8, 16)", "Categorical(8, 32)")], ["--family", "deep"], "space of width in family 'deep'"),
        # The images are other ones for all that is stored, so a new family does not go on either.
        (
            [('"linear"', '"other"'), ('Data("digits")', 'Data("digits", split_seed=1)')],
            [],
            "split_seed was 0 and is 1",
        ),
    ],
)
def test_where_nothing_can_go_on_nothing_is_written(
    optrack: Run, ran: str, replaced: list[tuple[str, str]], options: list[str], difference: str
) -> None:
    change(ran, *replaced)
    before = Path("optuna.db").read_bytes()
    answer = optrack("run", ran, *INLINE, *options)
    assert answer.returncode == 2
    line = answer.stderr.splitlines()[-1]
    assert line.startswith("optrack: error: study 'small' has stored trials that cannot be compared with new ones: ")
    assert difference in line
    assert Path("optuna.db").read_bytes() == before


def test_other_settings_are_one_line_each(optrack: Run, ran: str) -> None:
    answer = optrack("run", ran, *INLINE, "--trials", "3", "--seed", "5", "--sampler", "random", "--family", "linear")
    assert answer.returncode == 0
    assert said(answer) == ["trials 2 → 3", "sampler tpe → random: for new trials", "seed 0 → 5: for new trials"]
