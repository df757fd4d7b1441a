import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optrack.search import StudyError
from optrack.search.errors import NothingStoredError
from optrack.search.results.judgement import Comparison, Verdict, verdict
from optrack.search.results.significance import holm, mcnemar, p_text, paired_interval
from optrack.search.results.values import TestResult

RESAMPLES = 500
P_VALUES = st.lists(st.floats(0, 1), max_size=12)
# What the seeds of two families recognise of a few images.
ANSWERS = st.integers(1, 12).flatmap(
    lambda images: st.tuples(
        *[st.lists(st.lists(st.booleans(), min_size=images, max_size=images), min_size=1, max_size=3)] * 2
    )
)
Answers = tuple[list[list[bool]], list[list[bool]]]


def result(correct: Sequence[bool] | NDArray[np.bool_], **changes: Any) -> TestResult:
    """A model that recognises the given images of three classes."""
    labels = np.arange(len(correct)) % 3
    parts: dict[str, Any] = {
        "classes": ("a", "b", "c"),
        "labels": labels,
        "predictions": np.where(correct, labels, (labels + 1) % 3),
        "confidences": np.full(len(correct), 0.5, dtype=np.float32),
        "loss": 1.0,
        "calibration_error": 0.1,
        "openings": 1,
        "digest": "d1",
    }
    return TestResult(**{**parts, **changes})


def counted(right: int, images: int = 1000, *, first_wrong: int = 0) -> TestResult:
    """A model that recognises so many images, and not those before them."""
    numbers = np.arange(images)
    return result((numbers >= first_wrong) & (numbers < first_wrong + right))


def judged(results: Mapping[str, Sequence[TestResult]]) -> Verdict:
    return verdict(results, resamples=RESAMPLES)


def only(results: Mapping[str, Sequence[TestResult]]) -> Comparison:
    (comparison,) = judged(results).comparisons
    return comparison


def comparison_of(**changes: Any) -> Comparison:
    parts: dict[str, Any] = {
        "better": "lenet_fcn",
        "worse": "lenet",
        "difference": 0.019,
        "interval": (0.014, 0.024),
        "better_alone": 300,
        "worse_alone": 60,
        "p_value": 1e-9,
        "p_corrected": 3e-9,
        "overlap": False,
        "seeds": 3,
    }
    return Comparison(**{**parts, **changes})


@pytest.mark.parametrize(
    ("first_alone", "second_alone", "published"),
    [
        (
            1,
            7,
            0.0703,
        ),  # Bentur et al. 2009, in Fagerland, Lydersen, Laake 2013, BMC Medical Research Methodology 13:91
        (3, 13, 0.0213),  # 68 students before and after a course: DeMars 2015
    ],
)
def test_mcnemars_exact_test_gives_published_values(first_alone: int, second_alone: int, published: float) -> None:
    assert mcnemar(first_alone, second_alone) == pytest.approx(published, abs=5e-5)


@given(first_alone=st.integers(0, 60), second_alone=st.integers(0, 60))
def test_mcnemars_exact_p_value_is_twice_the_smaller_binomial_tail(first_alone: int, second_alone: int) -> None:
    either = first_alone + second_alone
    tail = sum(math.comb(either, k) for k in range(min(first_alone, second_alone) + 1))
    assert mcnemar(first_alone, second_alone) == pytest.approx(min(1.0, 2 * tail / 2**either))


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ([0.3, 0.6], [0.6, 0.6]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holms_correction_of_worked_examples(raw: list[float], corrected: list[float]) -> None:
    assert holm(raw) == pytest.approx(corrected)


@given(raw=P_VALUES)
def test_corrected_p_values_keep_their_order_are_no_smaller_and_at_most_1(raw: list[float]) -> None:
    corrected = holm(raw)
    assert all(before <= after <= 1 for before, after in zip(raw, corrected, strict=True))
    ordered = [after for _, after in sorted(zip(raw, corrected, strict=True))]
    assert ordered == sorted(ordered)


@given(raw=P_VALUES, data=st.data())
def test_the_order_of_the_pairs_does_not_change_their_correction(raw: list[float], data: st.DataObject) -> None:
    places = data.draw(st.permutations(range(len(raw))))
    corrected = holm(raw)
    assert holm([raw[place] for place in places]) == tuple(corrected[place] for place in places)


@given(raw=P_VALUES.filter(bool))
def test_holm_rejects_what_bonferroni_rejects(raw: list[float]) -> None:
    smallest = min(raw)
    assert min(holm(raw)) == min(1.0, len(raw) * smallest)
    assert all(after <= min(1.0, len(raw) * before) for before, after in zip(raw, holm(raw), strict=True))


@pytest.mark.parametrize("seeds", [1, 3])
def test_about_95_of_100_intervals_hold_the_true_difference(seeds: int) -> None:
    rng = np.random.default_rng(3)
    rounds, images, gap = 400, 250, 0.04

    def covered() -> bool:
        # Images differ in how hard they are, for both families alike; for each, the first is better by the gap.
        ease = rng.beta(4, 1, images) * (1 - gap)
        first = rng.random((seeds, images)) < ease + gap
        second = rng.random((seeds, images)) < ease
        low, high = paired_interval(first, second, resamples=400)
        return low <= gap <= high

    assert 0.91 <= sum(covered() for _ in range(rounds)) / rounds <= 0.98


def test_with_many_images_the_interval_is_that_of_the_central_limit_theorem() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.random((2, 3, 10_000)) < np.array([0.95, 0.94])[:, None, None]
    differences = first.mean(axis=0) - second.mean(axis=0)
    half = 1.96 * differences.std() / 100
    expected = differences.mean() - half, differences.mean() + half
    assert paired_interval(first, second, resamples=4000) == pytest.approx(expected, abs=half / 10)


def test_pairing_leaves_out_what_is_hard_for_both_families() -> None:
    hard = np.arange(1000) < 300
    first = np.array([~hard])
    second = first & (np.arange(1000) % 100 != 99)
    low, high = paired_interval(first, second)
    assert 0 < low < 0.01 < high < 0.02  # unpaired it would be 0.08 wide


def test_families_that_agree_on_every_image_get_an_interval_without_width() -> None:
    answers = np.array([[True, False, True]])
    assert paired_interval(answers, answers) == (0.0, 0.0)


def test_no_interval_leaves_what_is_possible() -> None:
    first = np.arange(12)[None] < 11
    low, high = paired_interval(first, np.zeros_like(first))
    assert 0.6 < low < 11 / 12 < high <= 1


def test_one_image_alone_tells_nothing() -> None:
    assert paired_interval(np.array([[True]]), np.array([[False]])) == (-1.0, 1.0)


def test_the_memory_for_the_samples_does_not_decide_on_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.random.default_rng(7).random((2, 1, 50)) < 0.8
    before = paired_interval(first, second, resamples=300)
    monkeypatch.setattr("optrack.search.results.significance._BATCH", 7 * 50)
    assert paired_interval(first, second, resamples=300) == before


def test_an_interval_is_the_same_again_and_similar_with_more_samples() -> None:
    first, second = np.random.default_rng(9).random((2, 2, 501)) < 0.8
    one, again, other = (paired_interval(first, second, resamples=count) for count in (5000, 5000, 6000))
    assert one == again
    assert one == pytest.approx(other, abs=0.01)


def test_a_familys_score_sums_up_its_seeds() -> None:
    seeds = [
        replace(counted(900), loss=0.3, calibration_error=0.02, openings=1),
        replace(counted(920), loss=0.2, calibration_error=0.04, openings=3),
        replace(counted(880), loss=0.4, calibration_error=0.03, openings=1),
    ]
    (score,) = judged({"lenet": seeds}).scores
    assert (score.name, score.accuracies, score.champion) == ("lenet", (0.9, 0.92, 0.88), 0.9)
    assert (score.mean, score.lowest, score.highest) == (0.9, 0.88, 0.92)
    assert score.deviation == pytest.approx(0.02)
    assert (score.mean_loss, score.calibration_error) == (pytest.approx(0.3), pytest.approx(0.03))
    assert score.openings == 3


def test_a_single_seed_has_no_deviation() -> None:
    (score,) = judged({"lenet": [counted(900)]}).scores
    assert (score.deviation, score.lowest, score.highest) == (None, 0.9, 0.9)


@pytest.mark.parametrize(
    ("right", "images", "published"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_a_champions_interval_is_wilsons(right: int, images: int, published: tuple[float, float]) -> None:
    (score,) = judged({"lenet": [counted(right, images)]}).scores
    assert score.champion_interval == pytest.approx(published, abs=5e-5)


def test_families_come_best_first_by_the_mean_over_their_seeds() -> None:
    found = judged({"one": [counted(990), counted(900)], "two": [counted(950), counted(951)], "none": []})
    assert [score.name for score in found.scores] == ["two", "one"]
    assert found.winner == "two"


def test_of_equally_accurate_families_the_one_with_the_lower_loss_comes_first() -> None:
    found = judged({"a": [replace(counted(900), loss=0.5)], "b": [replace(counted(900), loss=0.4)]})
    assert (found.winner, found.clear) == ("b", False)
    assert found.sentence == "b and a are level; b counts as the winner"


def test_a_comparison_counts_what_the_champions_alone_recognise() -> None:
    found = only({"a": [counted(900), counted(910)], "b": [counted(850, first_wrong=20), counted(850)]})
    assert (found.better, found.worse) == ("a", "b")
    assert found.difference == pytest.approx(0.055)
    assert (found.better_alone, found.worse_alone) == (50, 0)
    assert found.p_value == found.p_corrected == mcnemar(50, 0)
    assert found.interval[0] < found.difference < found.interval[1]


def test_p_values_are_corrected_for_all_pairs() -> None:
    found = judged({"a": [counted(900)], "b": [counted(892)], "c": [counted(886)], "d": [counted(700)]})
    raw = [comparison.p_value for comparison in found.comparisons]
    assert raw == [mcnemar(*pair) for pair in ((8, 0), (14, 0), (200, 0), (6, 0), (192, 0), (186, 0))]
    assert [comparison.p_corrected for comparison in found.comparisons] == list(holm(raw))


def test_another_family_changes_nothing_of_a_pair_but_the_correction() -> None:
    pair = {"a": [counted(900)], "b": [counted(880)]}
    before = only(pair)
    after = judged({"c": [counted(890)], **pair}).comparisons[1]
    assert replace(after, p_corrected=before.p_corrected) == before
    assert after.p_corrected > before.p_corrected


@settings(max_examples=40)
@given(answers=ANSWERS)
def test_swapping_the_names_of_two_families_mirrors_their_comparison(answers: Answers) -> None:
    first, second = ([result(seed) for seed in seeds] for seeds in answers)
    before, after = only({"a": first, "b": second}), only({"b": first, "a": second})
    if before.difference:
        swapped = {"a": "b", "b": "a"}
        assert after == replace(before, better=swapped[before.better], worse=swapped[before.worse])
    else:  # in either case the first in the alphabet comes first
        low, high = before.interval
        assert after.interval == pytest.approx((-high, -low), abs=1e-12)
        assert (after.better_alone, after.worse_alone) == (before.worse_alone, before.better_alone)
        assert after.p_value == before.p_value


@settings(max_examples=40)
@given(answers=ANSWERS)
def test_the_order_of_the_families_changes_nothing(answers: Answers) -> None:
    first, second = ([result(seed) for seed in seeds] for seeds in answers)
    assert judged({"a": first, "b": second}) == judged({"b": second, "a": first})


@settings(max_examples=40)
@given(answers=ANSWERS)
def test_what_is_shown_passes_both_the_test_and_the_interval(answers: Answers) -> None:
    found = only({name: [result(seed) for seed in seeds] for name, seeds in zip("ab", answers, strict=True)})
    assert found.interval[0] - 1e-12 <= found.interval[1]
    assert 0 <= found.difference <= 1
    assert 0 < found.p_value <= found.p_corrected <= 1
    if found.shown:
        assert found.p_corrected < 0.05
        assert found.interval[0] > 0
        assert found.better_alone > found.worse_alone


def test_a_small_p_value_shows_nothing_when_the_interval_holds_0() -> None:
    found = only({"a": [counted(900), counted(880)], "b": [counted(850), counted(929)]})
    assert found.p_corrected < 0.001
    assert found.interval[0] < 0 < found.interval[1]
    assert not found.shown
    assert found.sentence.startswith("no difference between a and b can be shown: ")
    assert found.sentence.endswith("), p < 0.001; the champions differ, but not the means over their seeds")


def test_an_interval_above_0_shows_nothing_when_the_p_value_is_large() -> None:
    found = only({"a": [counted(900), counted(950)], "b": [counted(899), counted(850)]})
    assert found.interval[0] > 0
    assert found.p_corrected == 1.0
    assert not found.shown


def test_champions_that_contradict_the_means_show_nothing() -> None:
    found = only({"a": [counted(850), counted(990), counted(990)], "b": [counted(880), counted(880), counted(880)]})
    assert (found.better, found.contradicted, found.shown) == ("a", True, False)
    assert found.p_corrected < 0.001
    assert found.interval[0] > 0
    assert found.sentence.startswith("no difference between a and b can be shown: 6.3 points (")
    assert found.sentence.endswith("), p < 0.001; the champions stand the other way round")


def test_the_ranges_of_the_seeds_overlap_when_the_worse_familys_best_reaches_the_better_ones_worst() -> None:
    assert only({"a": [counted(900), counted(880)], "b": [counted(860), counted(880)]}).overlap
    assert not only({"a": [counted(900), counted(880)], "b": [counted(860), counted(879)]}).overlap


def test_a_difference_that_is_shown_is_told_with_its_interval_and_p_value() -> None:
    assert comparison_of().sentence == "lenet_fcn is better than lenet by 1.9 points (1.4 to 2.4), p < 0.001"


def test_a_difference_that_is_not_shown_is_told_as_one() -> None:
    found = comparison_of(difference=0.001, interval=(-0.002, 0.004), p_value=0.41, p_corrected=0.41)
    expected = "no difference between lenet_fcn and lenet can be shown: 0.1 points (-0.2 to 0.4), p = 0.41"
    assert found.sentence == expected


def test_where_the_seeds_overlap_the_sentence_says_that_another_seed_may_turn_it_round() -> None:
    without = comparison_of().sentence
    caution = "; the ranges of their seeds overlap: another seed may turn it round"
    assert comparison_of(overlap=True).sentence == without + caution


def test_with_a_single_seed_the_sentence_says_so() -> None:
    assert comparison_of(seeds=1).sentence.endswith("p < 0.001; with a single seed: another may turn it round")


def test_rounding_turns_no_shown_difference_into_none() -> None:
    found = comparison_of(difference=0.0008, interval=(0.0001, 0.0015), p_corrected=0.04996)
    assert found.sentence == "lenet_fcn is better than lenet by 0.08 points (0.01 to 0.15), p = 0.04996"


def test_rounding_makes_no_negative_zero() -> None:
    found = comparison_of(difference=0.0, interval=(-0.0001, 0.0001), p_corrected=1.0)
    assert found.sentence.endswith("0.0 points (0.0 to 0.0), p = 1")


@given(p_value=st.floats(0, 1))
def test_a_written_p_value_is_near_the_true_one_and_on_the_same_side_of_the_level(p_value: float) -> None:
    text = p_text(p_value)
    sign, number = text.split()[1:]
    if sign == "<":
        assert p_value < 0.001
    elif sign == ">":
        assert 0.99 < p_value < 1
    else:
        assert float(number) == pytest.approx(p_value, abs=0.005)
        assert (float(number) < 0.05) == (p_value < 0.05)


def test_a_family_that_is_shown_to_be_better_than_all_others_wins() -> None:
    found = judged({"a": [counted(800)], "b": [counted(900)], "c": [counted(700)]})
    assert (found.winner, found.clear) == ("b", True)
    assert found.sentence == "b wins: it is better than every other family"


def test_of_two_families_the_other_one_is_named() -> None:
    assert judged({"a": [counted(800)], "b": [counted(900)]}).sentence == "b wins: it is better than a"


def test_a_winner_whose_seeds_overlap_with_anothers_is_told_to_be_so() -> None:
    found = judged({"a": [counted(950), counted(880)], "b": [counted(850), counted(890)], "c": [counted(700)]})
    assert (found.winner, found.clear) == ("a", True)
    assert found.sentence == "a wins: it is better than every other family; against b another seed may turn it round"


def test_a_family_that_is_ahead_without_being_shown_to_be_better_does_not_win() -> None:
    found = judged({"a": [counted(900)], "b": [counted(899)], "c": [counted(898)], "d": [counted(700)]})
    assert (found.winner, found.clear) == ("a", False)
    assert found.sentence == "a is ahead, but not shown to be better than b and c"


def test_a_family_alone_has_nothing_to_be_compared_with() -> None:
    found = judged({"a": [counted(900)]})
    assert (found.winner, found.clear, found.comparisons) == ("a", False, ())
    assert found.sentence == "a is the only family that was tested: there is none to compare it with"


def test_a_verdict_becomes_json_of_plain_values() -> None:
    found = judged({"a": [replace(counted(900), loss=math.nan)], "b": [counted(850), counted(860)], "c": []})
    answer = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert {key: answer[key] for key in ("winner", "clear", "sentence")} == {
        "winner": "a",
        "clear": True,
        "sentence": "a wins: it is better than b",
    }
    first, second = answer["families"]
    assert (first["family"], first["accuracies"], first["deviation"], first["mean_loss"]) == ("a", [0.9], None, None)
    assert (second["family"], second["accuracies"], second["mean_loss"]) == ("b", [0.85, 0.86], 1.0)
    (pair,) = answer["comparisons"]
    assert (pair["better"], pair["worse"], pair["shown"]) == ("a", "b", True)
    assert pair["sentence"] == found.comparisons[0].sentence


@pytest.mark.parametrize("changes", [{"digest": "d2"}, {"labels": np.zeros(1000, dtype=np.int64)}])
def test_families_that_were_tested_on_different_images_are_not_compared(changes: dict[str, Any]) -> None:
    other = result(np.ones(1000, dtype=bool), **changes)
    with pytest.raises(StudyError, match="same test images, but families 'a' and 'b' were tested on different ones"):
        judged({"a": [counted(900)], "b": [counted(900), other]})


def test_families_with_different_numbers_of_images_are_not_compared() -> None:
    with pytest.raises(StudyError, match="families 'a' and 'b'"):
        judged({"a": [counted(900)], "b": [counted(900, 1001)]})


def test_seeds_that_were_tested_on_different_images_are_not_summed_up() -> None:
    with pytest.raises(StudyError, match="the seeds of family 'a' were tested on different ones"):
        judged({"a": [counted(900), replace(counted(900), digest="d2")]})


@pytest.mark.parametrize("results", [{}, {"a": []}])
def test_without_any_test_there_is_no_verdict(results: dict[str, list[TestResult]]) -> None:
    with pytest.raises(NothingStoredError, match="no family has been tested yet: `optrack test` does it"):
        judged(results)


def test_a_test_without_images_is_refused() -> None:
    with pytest.raises(StudyError, match="must have images, but that of family 'a' has none"):
        judged({"a": [result([])]})
