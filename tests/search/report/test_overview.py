from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optrack.search import StudyError
from optrack.search.report.commands import commands
from optrack.search.report.overview import Judgement, best_first, judgement, scores, steps
from optrack.search.results.judgement import verdict
from optrack.search.results.values import FamilyResult, StudyResults


def judged(results: StudyResults) -> Judgement:
    return judgement(results, commands(results, "signs", margin=0.005), margin=0.005)


def states(results: StudyResults) -> list[tuple[str, bool]]:
    return [(step.state, step.done) for step in steps(results, commands(results, "signs", margin=0.005))]


def test_the_first_look_at_the_test_images_is_no_caution_and_the_second_one_is(results_of: Any) -> None:
    assert judged(results_of("tested")).cautions == ()
    (caution,) = judged(results_of("tested", openings=2)).cautions
    assert "opened more than once (alpha, seed 1: 2 times; alpha, seed 2: 2 times; beta, seed 1: 2 times;" in caution


def test_families_that_were_tested_on_different_images_are_not_compared(results_of: Any) -> None:
    results = results_of("tested")
    first, second = results.families
    other = tuple(replace(model, test=replace(model.test, digest="other")) for model in second.models)
    mixed = replace(results, families=(first, replace(second, models=other)))
    with pytest.raises(StudyError) as refused:
        verdict({family.name: family.tests for family in mixed.families}, by_validation=mixed.by_validation)
    found = judged(mixed)
    assert (found.sentence, found.comparisons) == ("The families cannot be compared.", ())
    assert found.basis == f"{refused.value}."
    assert set(scores(mixed)) == {"alpha", "beta"}


def test_seeds_of_one_family_that_were_tested_on_different_images_have_no_score(results_of: Any) -> None:
    results = results_of("tested")
    first, second = results.families
    champion, other = second.models
    mixed = replace(second, models=(champion, replace(other, test=replace(other.test, digest="other"))))
    assert set(scores(replace(results, families=(first, mixed)))) == {"alpha"}


def test_a_family_that_was_not_tested_is_named_beside_the_verdict(results_of: Any) -> None:
    tested, searched = results_of("tested"), results_of("searched")
    mixed = replace(tested, families=(searched.families[0], tested.families[1]))
    (caution,) = judged(mixed).cautions
    assert caution == (
        "Not in the verdict, as not tested: alpha. "
        "Next: `optrack retrain signs --seeds 2` and then `optrack test signs`."
    )
    assert [family.name for family in best_first(mixed)] == ["beta", "alpha"]


def test_a_champion_that_was_not_tested_is_not_judged_by_another_seed(results_of: Any) -> None:
    results = results_of("tested")
    first, second = results.families
    champion, other = first.models
    half = replace(results, families=(replace(first, models=(replace(champion, test=None), other)), second))
    assert judged(half).sentence == "beta is the only family that was tested: there is none to compare it with."
    assert judged(half).cautions == ("Not in the verdict, as not tested: alpha. Next: `optrack test signs`.",)


def test_before_the_test_the_best_of_the_search_comes_first_whatever_the_metric(results_of: Any, study_of: Any) -> None:
    by_loss = results_of("searched", study=study_of("alpha", "beta", metric="val_loss"))
    assert [family.name for family in best_first(results_of("searched"))] == ["beta", "alpha"]
    assert [family.name for family in best_first(by_loss)] == ["alpha", "beta"]
    assert judged(by_loss).sentence == "No verdict yet: alpha leads the search with 0.8800."


def test_equal_families_of_a_search_are_said_to_be_level(results_of: Any) -> None:
    results = results_of("searched")
    alpha, beta = results.families
    level = replace(results, families=(replace(alpha, candidate=replace(alpha.candidate, value=0.95)), beta))
    assert judged(level).sentence == "No verdict yet: alpha and beta are level in the search with 95.00 %."


def test_the_accuracy_of_the_search_is_that_of_the_best_epoch(results_of: Any) -> None:
    alpha, beta = results_of("searched").families
    assert (alpha.candidate.val_accuracy, beta.candidate.val_accuracy) == (0.90, 0.95)


def test_the_steps_say_how_far_the_study_has_got(results_of: Any) -> None:
    searched = "8 of 8 trials ended, 4 for each of 2 families"
    assert states(results_of("begun"))[0] == ("0 of 8 trials ended, 4 for each of 2 families", False)
    assert states(results_of("searched")) == [(searched, True), ("not yet", False), ("not yet", False)]
    tested = [(searched, True), ("2 of 2 families retrained", True), ("2 of 2 families tested", True)]
    assert states(results_of("tested")) == tested


def test_validation_puts_families_in_order_by_their_races_where_there_were_some(results_of: Any) -> None:
    results = results_of("tested")
    alpha, beta = results.families
    assert results.by_validation == ("beta", "alpha")
    raced = replace(beta, raced={beta.candidate.number: [0.80, 0.90]})
    assert raced.promise == pytest.approx(0.85)
    assert replace(results, families=(alpha, raced)).by_validation == ("alpha", "beta")
    unfinished = replace(alpha, candidate=None)
    assert replace(results, families=(unfinished, beta)).by_validation == ("beta", "alpha")


def test_a_test_that_was_recorded_without_its_groups_says_so(results_of: Any) -> None:
    results = results_of("tested")
    grouped = replace(results.study.data, group_pattern="(.)")
    found = judged(replace(results, study=replace(results.study, data=grouped)))
    assert any(caution.startswith("The test was recorded without the groups") for caution in found.cautions)
    assert not any("groups" in caution for caution in judged(results).cautions)


def test_few_groups_of_test_images_are_a_caution(results_of: Any) -> None:
    results = results_of("tested")

    def in_groups(number: int) -> Any:
        families = list[FamilyResult]()
        for family in results.families:
            models = [
                replace(model, test=replace(model.test, groups=np.arange(len(model.test.labels)) % number))
                for model in family.models
            ]
            families.append(replace(family, models=tuple(models)))
        return judged(replace(results, families=tuple(families)))

    assert any("come in 5 groups that belong together" in caution for caution in in_groups(5).cautions)
    assert not any("groups" in caution for caution in in_groups(20).cautions)
    assert "100 test images in 20 groups" in in_groups(20).basis
