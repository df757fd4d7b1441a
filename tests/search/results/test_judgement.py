import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optrack.search import StudyError
from optrack.search.errors import NothingStoredError
from optrack.search.results.comparison import Comparison, Needed
from optrack.search.results.judgement import Verdict, verdict
from optrack.search.results.significance import holm, mcnemar, p_text
from optrack.search.results.values import TestResult

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


def judged(results: Mapping[str, Sequence[TestResult]], *, best: str | None = None, margin: float = 0.005) -> Verdict:
    """The verdict where validation puts one family first, or all of them in their order."""
    return verdict(results, by_validation=[*([best] if best else []), *results], margin=margin)


def only(results: Mapping[str, Sequence[TestResult]], *, margin: float = 0.005) -> Comparison:
    (comparison,) = judged(results, margin=margin).comparisons
    return comparison


def seeds(*right: int, images: int = 1000, first_wrong: int = 0) -> list[TestResult]:
    """A family whose seeds recognise so many images."""
    return [counted(number, images, first_wrong=first_wrong) for number in right]


def comparison_of(**changes: Any) -> Comparison:
    parts: dict[str, Any] = {
        "better": "lenet_fcn",
        "worse": "lenet",
        "seeds": 3,
        "difference": 0.019,
        "interval": (0.004, 0.034),
        "p_value": 1e-3,
        "p_corrected": 3e-3,
        "p_beyond": 0.06,
        "p_within": 1.0,
        "margin": 0.005,
        "better_alone": 300,
        "worse_alone": 60,
        "p_champions": 1e-9,
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
    found = judged({"one": seeds(990, 900), "two": seeds(950, 951), "none": []})
    assert [score.name for score in found.scores] == ["two", "one"]


def test_validation_chooses_the_winner_whatever_the_test_says() -> None:
    results = {"a": seeds(900, 901, 902), "b": seeds(950, 951, 952), "none": []}
    assert judged(results, best="a").winner == "a"
    assert judged(results, best="b").winner == "b"
    assert judged(results, best="none").winner == "a"  # which has no test


def test_of_equally_accurate_families_the_one_with_the_lower_loss_comes_first() -> None:
    found = judged({"a": [replace(counted(900), loss=0.5)], "b": [replace(counted(900), loss=0.4)]})
    assert [score.name for score in found.scores] == ["b", "a"]


def test_a_comparison_is_of_means_over_all_seeds_and_counts_what_the_champions_alone_recognise() -> None:
    found = only({"a": seeds(900, 910), "b": [counted(850, first_wrong=20), counted(850)]})
    assert (found.better, found.worse, found.seeds) == ("a", "b", 2)
    assert found.difference == pytest.approx(0.055)
    assert (found.better_alone, found.worse_alone) == (50, 0)
    assert found.interval[0] < found.difference < found.interval[1]


def test_with_a_single_seed_the_champions_are_compared_by_mcnemars_test() -> None:
    found = only({"a": seeds(900, 990, 990), "b": seeds(950)})
    assert (found.better, found.worse, found.seeds) == ("b", "a", 1)
    assert found.difference == pytest.approx(0.05)
    assert found.p_value == found.p_corrected == mcnemar(50, 0)


def test_p_values_are_corrected_for_all_pairs() -> None:
    found = judged({"a": seeds(900), "b": seeds(892), "c": seeds(886), "d": seeds(700)})
    raw = [comparison.p_value for comparison in found.comparisons]
    assert raw == [mcnemar(*pair) for pair in ((8, 0), (14, 0), (200, 0), (6, 0), (192, 0), (186, 0))]
    assert [comparison.p_corrected for comparison in found.comparisons] == list(holm(raw))


def test_another_family_changes_nothing_of_a_pair_but_the_correction() -> None:
    pair = {"a": seeds(900, 905, 903), "b": seeds(880, 870, 900)}
    before = only(pair)
    after = judged({"c": seeds(890, 880), **pair}).comparisons[1]
    assert (after.better, after.worse) == ("a", "b")
    assert (after.difference, after.interval, after.p_value) == (before.difference, before.interval, before.p_value)
    assert after.p_corrected >= before.p_corrected


@settings(max_examples=40)
@given(answers=ANSWERS)
def test_swapping_the_names_of_two_families_mirrors_their_comparison(answers: Answers) -> None:
    first, second = ([result(seed) for seed in seeds] for seeds in answers)
    before, after = only({"a": first, "b": second}), only({"b": first, "a": second})
    if before.difference:
        swapped = {"a": "b", "b": "a"}
        assert (after.better, after.worse) == (swapped[before.better], swapped[before.worse])
        assert (after.interval, after.p_value, after.needed) == (before.interval, before.p_value, before.needed)
    else:  # in either case the first in the alphabet comes first
        low, high = before.interval
        assert after.interval == pytest.approx((-high, -low), abs=1e-12)
        assert (after.better_alone, after.worse_alone) == (before.worse_alone, before.better_alone)
        assert after.p_value == before.p_value


@settings(max_examples=40)
@given(answers=ANSWERS)
def test_the_order_of_the_families_changes_nothing(answers: Answers) -> None:
    first, second = ([result(seed) for seed in seeds] for seeds in answers)
    assert judged({"a": first, "b": second}, best="a") == judged({"b": second, "a": first}, best="a")


@settings(max_examples=60)
@given(answers=ANSWERS, margin=st.sampled_from([0.005, 0.1, 0.9]))
def test_what_is_said_can_be_read_off_the_interval(answers: Answers, margin: float) -> None:
    found = only(
        {name: [result(seed) for seed in seeds] for name, seeds in zip("ab", answers, strict=True)}, margin=margin
    )
    low, high = found.interval
    assert low - 1e-12 <= found.difference <= high + 1e-12
    assert 0 <= found.difference <= 1
    assert 0 <= found.p_value <= found.p_corrected <= 1
    match found.finding:
        case "better by more":
            assert low > margin - 1e-9
        case "better":
            assert low > 0
        case "practically equal":
            assert -margin - 1e-9 < low <= high < margin + 1e-9
        case "not enough to tell":
            assert found.needed is not None
            assert low <= 1e-9 or found.p_corrected >= 0.05


def test_two_models_that_agree_on_every_image_are_not_certain_of_all_others() -> None:
    low, high = only({"a": seeds(900, 900, 900), "b": seeds(900, 900, 900)}).interval
    assert low < 0 < high
    assert only({"a": seeds(1, 1, images=1), "b": seeds(0, 0, images=1)}).interval == (-1.0, 1.0)


def test_groups_count_and_not_their_images() -> None:
    groups = np.arange(1000) // 50
    rng = np.random.default_rng(1)
    bad = [rng.permutation(20)[:4] for _ in range(6)]
    models = [result(~np.isin(groups, which)) for which in bad]
    alone = only({"a": models[:3], "b": models[3:]})
    grouped = only(
        {
            name: [replace(test, groups=groups) for test in tests]
            for name, tests in (("a", models[:3]), ("b", models[3:]))
        }
    )
    assert grouped.difference == alone.difference
    assert grouped.interval[1] - grouped.interval[0] > 2 * (alone.interval[1] - alone.interval[0])
    found = judged({"a": [replace(test, groups=groups) for test in models[:3]]})
    plain = judged({"a": models[:3]})
    assert found.groups == 20
    wide, narrow = found.scores[0].champion_interval, plain.scores[0].champion_interval
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


SENTENCES: list[tuple[dict[str, Any], str]] = [
    (
        {"p_beyond": 0.01, "interval": (0.012, 0.026)},
        "lenet_fcn is better than lenet by 1.9 points (1.2 to 2.6), p = 0.003, more than the margin of 0.5 points",
    ),
    ({}, "lenet_fcn is better than lenet by 1.9 points (0.4 to 3.4), p = 0.003"),
    (
        {"difference": 0.001, "interval": (-0.002, 0.004), "p_corrected": 0.41, "p_within": 0.01},
        (
            "lenet_fcn and lenet are practically equal: they differ by 0.1 points (-0.2 to 0.4), "
            "less than the margin of 0.5 points"
        ),
    ),
    (  # although the difference is shown
        {"difference": 0.002, "interval": (0.001, 0.003), "p_within": 0.01},
        (
            "lenet_fcn and lenet are practically equal: they differ by 0.2 points (0.1 to 0.3), "
            "less than the margin of 0.5 points"
        ),
    ),
    (
        {
            "interval": (-0.002, 0.04),
            "p_corrected": 0.07,
            "needed": Needed(seeds=9, images=4000, groups=None),
        },
        (
            "not enough to tell lenet_fcn and lenet apart: 1.9 points (-0.2 to 4.0), p = 0.070; "
            "with 9 seeds or 4,000 test images, a difference of 0.5 points could be shown"
        ),
    ),
    (
        {
            "interval": (-0.002, 0.04),
            "p_corrected": 0.07,
            "margin": 0.01,
            "needed": Needed(seeds=10, images=9000, groups=300, together=True),
        },
        (
            "not enough to tell lenet_fcn and lenet apart: 1.9 points (-0.2 to 4.0), p = 0.070; "
            "with 10 seeds and 9,000 test images in 300 groups, a difference of 1 point could be shown"
        ),
    ),
    (
        {"interval": (-0.002, 0.04), "p_corrected": 0.07, "needed": Needed(seeds=None, images=None, groups=None)},
        (
            "not enough to tell lenet_fcn and lenet apart: 1.9 points (-0.2 to 4.0), p = 0.070; "
            "no number of seeds or test images within reason would show a difference of 0.5 points"
        ),
    ),
    (
        {"seeds": 1},
        (
            "this model of lenet_fcn is better than that of lenet by 1.9 points (0.4 to 3.4), p = 0.003; "
            "a single seed says nothing about the families"
        ),
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), SENTENCES)
def test_each_finding_has_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert comparison_of(**changes).sentence == sentence


def test_the_champions_have_a_sentence_of_their_own() -> None:
    assert comparison_of().champions_sentence == (
        "the champions as they are: 300 images that only lenet_fcn's recognises, 60 that only lenet's does, p < 0.001"
    )


def test_what_it_takes_does_show_the_difference() -> None:
    rng = np.random.default_rng(4)

    def pair(count: int, images: int) -> Comparison:
        hard = rng.random(images)
        return only({name: [result(hard + 0.05 * rng.random(images) < 0.9) for _ in range(count)] for name in "ab"})

    needed = pair(5, 400).needed
    assert needed is not None
    assert needed.images is not None
    assert needed.images > 400
    shown = [pair(5, needed.images).finding for _ in range(20)]
    assert shown.count("practically equal") >= 10  # equal families: intervals are short enough by then


def test_rounding_turns_no_shown_difference_into_none() -> None:
    found = comparison_of(difference=0.0008, interval=(0.0001, 0.0015), p_corrected=0.04996)
    assert found.sentence == "lenet_fcn is better than lenet by 0.08 points (0.01 to 0.15), p = 0.04996"


def test_rounding_makes_no_negative_zero() -> None:
    found = comparison_of(difference=0.0, interval=(-0.0001, 0.0001), p_corrected=1.0)
    assert "0.0 points (0.0 to 0.0), p = 1" in found.sentence


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


WORST, WORSE, GOOD = seeds(700, 702, 704), seeds(800, 802, 804), seeds(901, 902, 903)
LEVEL_WITH_GOOD = seeds(901, 902, 902)
VARYING = seeds(840, 900, 960)  # too much to tell

BETTER = seeds(960, 962, 964)

VERDICTS = [
    (
        {"b": GOOD, "a": LEVEL_WITH_GOOD, "c": WORST, "d": VARYING, "e": BETTER},
        (
            "b is chosen by validation; on the test images it is better than c, practically equal to a, "
            "not told apart from d and worse than e"
        ),
    ),
    ({"b": GOOD, "a": WORSE}, "b wins: chosen by validation, and better than a on the test images"),
    (
        {"b": GOOD, "a": WORSE, "c": WORST},
        "b wins: chosen by validation, and better than every other family on the test images",
    ),
    (
        {"b": GOOD, "a": LEVEL_WITH_GOOD, "c": WORST},
        "b is chosen by validation; on the test images it is better than c and practically equal to a",
    ),
    (
        {"b": VARYING, "a": GOOD, "c": WORST},
        (
            "b is chosen by validation; on the test images it is better than c and not told apart from a; "
            "a comes first there, by less than they can show"
        ),
    ),
    (
        {"a": WORSE, "b": GOOD, "c": WORST},
        "a is chosen by validation; on the test images it is better than c and worse than b",
    ),
    (
        {"b": GOOD[:1], "a": WORSE},
        (
            "b wins: chosen by validation, and better than a on the test images; "
            "with a single seed that is said of models, not of families"
        ),
    ),
    ({"a": GOOD}, "a is the only family that was tested: there is none to compare it with"),
]


@pytest.mark.parametrize(("results", "sentence"), VERDICTS)
def test_the_verdict_says_how_the_winner_stands_to_all_others(
    results: dict[str, list[TestResult]], sentence: str
) -> None:
    found = judged(results, margin=0.01)
    assert found.sentence == sentence
    assert found.winner == next(iter(results))
    assert found.clear == sentence.startswith(f"{found.winner} wins")


def test_the_guide_has_a_table_of_all_sentences() -> None:
    page = (Path(__file__).parents[3] / "docs/reading-results.md").read_text()
    _, table = page.split("| the sentence | appears where |\n|---|---|\n")
    rows = [line.split(" | ")[0].strip("| ") for line in table.split("\n\n")[0].splitlines()]
    patterns = [re.compile(as_pattern(row)) for row in rows]
    said = [judged(results, margin=0.01).sentence for results, _ in VERDICTS]
    said += [comparison_of(**changes).sentence for changes, _ in SENTENCES]
    assert [row for row, pattern in zip(rows, patterns, strict=True) if not any(map(pattern.fullmatch, said))] == []
    # A list of standings has any of those in the table.
    known = [re.compile(as_pattern(clause)) for row in rows for clause in row.split("; ") if clause != "…"]
    untold = [clause for each in said for clause in each.split("; ") if not clause.startswith("on the test images")]
    assert [clause for clause in untold if not any(pattern.fullmatch(clause) for pattern in known)] == []


def as_pattern(row: str) -> str:
    """What a row of the table stands for: capital letters for families, numbers for any others, `…` for anything."""
    escaped = re.escape(row).replace("…", ".*")
    return re.sub(r"(?:\\-)?\d+(?:(?:\\\.|,)\d+)*", r"-?[\\d.,]+", re.sub(r"\b[A-E]\b", r"\\w+", escaped))


def test_a_verdict_becomes_json_of_plain_values() -> None:
    found = judged({"a": [replace(counted(900), loss=math.nan)], "b": seeds(850, 860), "c": []})
    answer = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert {key: answer[key] for key in ("winner", "clear", "images", "groups")} == {
        "winner": "a",
        "clear": True,
        "images": 1000,
        "groups": None,
    }
    assert answer["sentence"] == found.sentence
    first, second = answer["families"]
    assert (first["family"], first["accuracies"], first["deviation"], first["mean_loss"]) == ("a", [0.9], None, None)
    assert first["interval"] is None
    assert (second["family"], second["accuracies"], second["mean_loss"]) == ("b", [0.85, 0.86], 1.0)
    assert second["interval"][0] < 0.855 < second["interval"][1]
    (pair,) = answer["comparisons"]
    assert (pair["better"], pair["worse"], pair["shown"], pair["finding"]) == ("a", "b", True, "better by more")
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
