from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optrack.search import Budget, Data, Family, Float, Pruner, Sampler, Study
from optrack.search.coordinator.changes import changes
from optrack.search.stores.records import MEMBERS_RECORD, STUDY, STUDY_RECORD
from optrack.search.stores.trials import StoredFamily

ENDED = datetime(2026, 5, 1)  # noqa: DTZ001 - as Optuna's are


def family_of(name: str, high: float = 1.0) -> Family:
    return Family(name, architecture="mlp", space={"lr": Float(0.1, high)})


def study_of(*families: Family, epochs: int = 2, **changed: Any) -> Study:
    budget = Budget(trials=8, epochs=epochs, **changed.pop("budget", {}))
    return Study("s", data=Data("digits"), families=families or [family_of("a")], budget=budget, **changed)


def stored(study: Study, name: str, planned: Sequence[int] = (2, 2), interrupted: Sequence[int] = ()) -> StoredFamily:
    """A family with trials that ended and some that are to go on, each by how many epochs it was to train."""
    opened = optuna.create_study(study_name=f"s/{name}")
    for epochs in planned:
        trial = create_trial(value=0.5, user_attrs={"planned_epochs": epochs})
        trial.datetime_complete = ENDED
        opened.add_trial(trial)
    for epochs in interrupted:
        attributes = {"planned_epochs": epochs}
        opened.add_trial(create_trial(state=TrialState.WAITING, user_attrs=attributes, intermediate_values={1: 0.5}))
    members = [family.name for family in study.families]
    return StoredFamily.read(opened, {STUDY: {STUDY_RECORD: study.to_json(), MEMBERS_RECORD: members}})


def said(study: Study, *before: StoredFamily, members: Sequence[Family] = ()) -> list[str]:
    return changes(study, members or study.families, before)


def test_a_new_study_and_one_that_is_what_it_was_say_nothing() -> None:
    study = study_of(family_of("a"), family_of("b"))
    assert said(study) == []
    assert said(study, stored(study, "a"), stored(study, "b", interrupted=[2])) == []


def test_families_that_are_not_searched_this_time_are_no_change() -> None:
    both = study_of(family_of("a"), family_of("b"))
    only_a = study_of(family_of("a"), epochs=4)
    assert said(only_a, stored(both, "b"), members=both.families) == []


@pytest.mark.parametrize(
    ("before", "planned", "interrupted", "line"),
    [
        (2, [2] * 8, [], "8 trials of 2 epochs stay, apart from the comparison; COUNT"),
        (2, [2, 3], [], "1 trial of 2 epochs and 1 trial of 3 epochs stay, apart from the comparison; COUNT"),
        (2, [2], [2], "1 trial of 2 epochs stay, apart from the comparison; 1 interrupted trial starts over; COUNT"),
        (2, [], [2, 2], "2 interrupted trials start over"),
        (2, [4, 2], [], "1 trial of 2 epochs stay, apart from the comparison; 1 trial of 4 epochs AGAIN; COUNT"),
        (2, [], [], ""),
    ],
)
def test_a_change_of_epochs_says_which_trials_are_compared(
    before: int, planned: list[int], interrupted: list[int], line: str
) -> None:
    [told] = said(study_of(epochs=4), stored(study_of(epochs=before), "a", planned, interrupted))
    counted = "--trials and --total-epochs count those of 4 epochs alone"
    expected = line.replace("COUNT", counted).replace("AGAIN", "are compared again")
    assert told == f"epochs {before} → 4: {expected}".removesuffix(": ")


def test_a_change_that_concerns_some_families_names_them() -> None:
    a, b = family_of("a"), family_of("b")
    of_two, of_four = study_of(a, b), study_of(a, b, epochs=4)
    [line] = said(of_four, stored(of_two, "a"), stored(of_four, "b", [4]))
    assert line.startswith("a: epochs 2 → 4: 2 trials of 2 epochs stay, apart")


def test_a_family_that_is_gone_is_named_once() -> None:
    before, now = study_of(family_of("a"), family_of("b", 0.5)), study_of(family_of("a"))
    gone = "family 'b' is no longer in the study: its 2 trials stay in the stores, not in the table"
    assert said(now, stored(before, "a"), stored(before, "b")) == [gone]
    removed = stored(before, "b")
    known = StoredFamily.read(removed.optuna_study, {STUDY: {**removed.kept, MEMBERS_RECORD: ["a"]}})
    assert said(now, stored(now, "a"), known) == []
    assert said(before, stored(now, "a"), known) == ["family 'b' is in the study again, with its 2 trials"]


def test_a_renamed_family_is_taken_for_one() -> None:
    before, now = study_of(family_of("a"), family_of("b", 0.5)), study_of(family_of("a"), family_of("c", 0.5))
    [line] = said(now, stored(before, "a"), stored(before, "b"))
    assert line == (
        "family 'b' is no longer in the study: its 2 trials stay in the stores, not in the table; it was probably "
        "renamed, as 'c' has the same architecture and space: 'c' begins anew, and goes on with these trials where it "
        "is named 'b' again"
    )


def test_another_family_in_its_place_is_not_taken_for_it() -> None:
    before, now = study_of(family_of("b", 0.5)), study_of(family_of("c", 0.75))
    first, second = said(now, stored(before, "b"))
    assert "renamed" not in first
    assert second == "new in the study: c"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"budget": {"patience": 3}}, "patience none → 3: for new trials"),
        ({"budget": {"total_epochs": 9}}, "total epochs none → 9"),
        ({"sampler": Sampler("random")}, "sampler tpe → random: for new trials"),
        ({"sampler": Sampler("tpe", n_startup_trials=5)}, "sampler tpe → tpe (n_startup_trials = 5): for new trials"),
        ({"pruner": Pruner("none")}, "pruner asha → none: what was pruned stays so"),
        ({"seed": 1}, "seed 0 → 1: for new trials"),
        ({"budget": {"timeout_seconds": 9.0}}, None),
    ],
)
def test_another_setting_is_one_line(changed: dict[str, Any], line: str | None) -> None:
    assert said(study_of(**changed), stored(study_of(), "a")) == ([] if line is None else [line])
