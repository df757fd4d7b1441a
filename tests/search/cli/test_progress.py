# pyright: reportPrivateUsage=false
import io
import math
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from optrack.search.cli import progress
from optrack.search.cli.progress import LineProgress, LiveProgress, decoding, trial_line
from optrack.search.coordinator.family_search import FamilySearch
from optrack.search.launchers.pool import Work
from optrack.search.study import EpochResult
from optrack.search.training import Job


def result(epoch: int, accuracy: float) -> EpochResult:
    """An epoch of this accuracy, and of the loss that goes with it."""
    loss = 1 - accuracy
    return EpochResult(
        epoch=epoch, train_loss=1.0, train_accuracy=0.5, val_loss=loss, val_accuracy=accuracy, lr=0.1, seconds=1.0
    )


def search_of(**counts: Any) -> FamilySearch:
    values = {"started": 0, "limit": 4, "running": 0, "ended": Counter(pruned=1), "best_value": None}
    return cast("FamilySearch", SimpleNamespace(**{**values, **counts}))


def running(*accuracies: float, name: str = "linear 3", reason: str | None = None) -> Work:
    # The images are not looked at.
    job = Job(family="linear", trial=3, architecture="logistic", data=cast("Any", None), epochs=5, seed=1)
    return Work(
        job=job,
        name=name,
        values={"lr": 0.0123456, "optimizer": "adam"},
        epochs=[result(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, 1)],
        reason=reason,
    )


def test_a_finished_trial_is_told_with_its_best_epoch() -> None:
    line = trial_line(running(0.5, 0.75, 0.7), "finished")
    assert line == "linear 3: finished, val_accuracy 0.75 in epoch 2, lr=0.01235 optimizer=adam"


def test_a_pruned_trial_is_told_with_its_last_epoch() -> None:
    line = trial_line(running(0.5, 0.4), "pruned")
    assert line == "linear 3: pruned after 2, val_accuracy 0.5 in epoch 1, lr=0.01235 optimizer=adam"


def test_a_trial_that_diverged_is_told_with_the_reason_and_with_its_best_epoch_if_it_has_one() -> None:
    reason = "diverged in epoch 2: the loss is not finite"
    line = trial_line(running(0.5, math.nan, reason=reason), "finished")
    assert line == f"linear 3: finished, val_accuracy 0.5 in epoch 1, {reason}, lr=0.01235 optimizer=adam"
    line = trial_line(running(math.nan, reason=reason), "pruned")
    assert line == f"linear 3: pruned after 1, {reason}, lr=0.01235 optimizer=adam"


def test_a_failed_trial_is_told_with_its_reason() -> None:
    line = trial_line(running(0.5, reason="RuntimeError: no memory"), "failed")
    assert line == "linear 3: failed, RuntimeError: no memory, lr=0.01235 optimizer=adam"


def test_a_replicate_is_told_with_the_trial_that_it_repeats() -> None:
    line = trial_line(running(0.5, name="linear 3, a replicate of 0"), "finished")
    assert line.startswith("linear 3, a replicate of 0: finished, val_accuracy 0.5 in epoch 1, ")


def test_lines_go_to_stderr_one_for_each_trial(capsys: pytest.CaptureFixture[str]) -> None:
    trial = running(0.5)
    display = LineProgress()
    display.study_opened({"linear": search_of(started=2), "deep": search_of(), "wide": search_of(started=12)})
    display.started(trial)
    display.epoch_ended(trial)
    display.ended(trial, "finished")
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "linear: 2 of 4 trials ended before",
        "wide: 12 trials ended before, and 4 are asked for",
        trial_line(trial, "finished"),
    ]


def test_a_long_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    trial = running(0.5, reason="x" * 900)
    display = LineProgress()
    display.ended(trial, "failed")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("news", "lines"),
    [
        ([(1, 1000), (2, 1000), (1000, 1000)], 1),
        ([(512, 1000), (1000, 1000)], 1),
        ([(33, 33)], 0),  # it is over when it could be said
    ],
)
def test_decoding_is_said_once(news: list[tuple[int, int]], lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    display = LineProgress()
    for done, total in news:
        display.decoded(done, total)
    assert capsys.readouterr().err == "decoding 1000 images\n" * lines


def test_a_progress_bar_leaves_nothing_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with decoding() as told:
        told(1, 2)
        told(2, 2)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 100 columns that records what is printed."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100, record=True, highlight=False)

    def recording(*, stderr: bool) -> Console:
        assert stderr
        return console

    monkeypatch.setattr(progress, "console", recording)
    return console


def rendered(display: LiveProgress) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(display._table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_says_at_once_that_a_run_starts(terminal: Console) -> None:
    display = LiveProgress()
    assert terminal.is_terminal
    assert "starting workers" in rendered(display)
    display.decoded(10, 100)
    assert rendered(display).strip() == "decoding images: 10 of 100"
    display.decoded(100, 100)
    assert "starting workers" in rendered(display)


def test_the_table_shows_each_family_and_what_runs(terminal: Console) -> None:
    trial = running(0.5, 0.6)
    display = LiveProgress()
    with display.live:
        display.study_opened(
            {
                "linear": search_of(started=3, running=1, best_value=0.91234),
                "[deep]": search_of(),
            }
        )
        display.started(trial)
        table = rendered(display)
        rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
        assert "2/4" in rows["linear"]
        assert "0.9123" in rows["linear"]
        assert "3: epoch 3/5" in rows["linear"]
        assert "0/4" in rows["[deep]"]
        assert "left" not in table
        display.ended(trial, "finished")
        assert "epoch 3/5" not in rendered(display)
        assert " left" in rendered(display)
    assert trial_line(trial, "finished")[:60] in terminal.export_text()


def test_each_trial_that_ends_leaves_one_line_on_the_terminal(terminal: Console) -> None:
    trial = running(0.5, reason="x" * 300)
    display = LiveProgress()
    with display.live:
        display.ended(trial, "failed")
    lines = [line for line in terminal.export_text().splitlines() if line.startswith("linear 3")]
    assert len(lines) == 1
    assert len(lines[0]) <= 100
