from dataclasses import replace
from typing import Any

from optrack.search import Budget, Pruner, Sampler
from optrack.search.report.commands import commands


def test_the_search_is_given_with_all_that_can_be_said(results_of: Any, study_of: Any) -> None:
    study = study_of(
        "alpha",
        budget=Budget(trials=9, epochs=5, patience=2, total_epochs=30, timeout_seconds=90.5),
        sampler=Sampler("tpe", n_startup_trials=5),
        pruner=Pruner("none"),
        seed=3,
    )
    found = commands(results_of("begun", names=("alpha",), study=study), "signs", margin=0.005)
    assert found.run == (
        "optrack run signs --trials 9 --epochs 5 --patience 2 --total-epochs 30 --timeout 90.5 --seed 3 "
        "--sampler tpe --sampler-option n_startup_trials=5 --pruner none"
    )


def test_places_names_and_seeds_are_given_as_they_are_typed(results_of: Any) -> None:
    results = replace(results_of("retrained"), storage="sqlite:///my trials.db", tracking_uri="http://server")
    found = commands(results, "my signs.py", margin=0.005)
    places = "--storage 'sqlite:///my trials.db' --tracking-uri http://server"
    assert found.retrain == f"optrack retrain 'my signs.py' --seeds 2 {places}"
    assert found.test == f"optrack test 'my signs.py' {places}"
    assert found.report == f"optrack report 'my signs.py' {places}"


def test_a_race_is_part_of_retraining(results_of: Any) -> None:
    results = results_of("searched")
    raced = replace(results.families[0], raced={0: [0.9], 3: [0.8]})
    found = commands(replace(results, families=(raced, *results.families[1:])), "signs", margin=0.005)
    assert found.retrain == "optrack retrain signs --confirm 2"
