from hypothesis import given
from hypothesis import strategies as st

from optrack.search.stores.model_runs import ModelRun, race_values


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
        deaths=0,
        value=None,
        openings=0,
        latency_device=None,
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
