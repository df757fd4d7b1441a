from typing import Any, cast

import pytest

from optrack.search.cli.training_progress import TrainingProgress
from optrack.search.stores import Stage
from optrack.search.training import Job


@pytest.mark.parametrize(
    ("stage", "jobs", "done", "line"),
    [
        ("retrain", 1, 0, "1 model to train"),
        ("retrain", 6, 0, "6 models to train"),
        ("retrain", 2, 1, "1 of 3 models done before"),
        ("confirm", 1, 0, "1 training of the race"),
        ("confirm", 3, 1, "1 of 4 trainings of the race done before"),
    ],
)
def test_what_is_to_come_is_told_in_the_number_that_it_has(
    stage: Stage, jobs: int, done: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The images are not looked at.
    job = Job(family="linear", trial=3, architecture="logistic", data=cast("Any", None), epochs=5, seed=1)
    TrainingProgress().trainings_planned(stage, [job] * jobs, done)
    assert capsys.readouterr().err == f"{line}\n"
