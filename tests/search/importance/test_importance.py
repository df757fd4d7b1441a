import errno
import random
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    MeanDecreaseImpurityImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from optrack.search import Data, Family, StorageError, Study, StudyError
from optrack.search.importance.importance import EVALUATORS, MINIMUM_TRIALS, Importances, importances
from optrack.search.importance.page import write_page
from optrack.search.stores.trials import StoredFamily, trial_of

UNIT = FloatDistribution(0.0, 1.0)
HOSTILE = "</script><script>document.title='broken out'</script>"
Direction = Literal["maximize", "minimize"]
DRAWN = 'class="plot js-plotly-plot"'


def add(study: optuna.Study, value: float, params: Mapping[str, Any], **distributions: BaseDistribution) -> None:
    study.add_trial(
        optuna.trial.create_trial(
            value=value,
            params=dict(params),
            distributions={name: distributions.get(name, UNIT) for name in params},
            intermediate_values={1: value / 2, 2: value},
        )
    )


def study_of(trials: int, *, rare: int = 0, direction: Direction = "maximize") -> optuna.Study:
    """`x` decides, `y` does not matter, and `rare` is there in the last few trials alone."""
    rng = random.Random(1)  # noqa: S311  made-up trials
    study = optuna.create_study(direction=direction)
    for number in range(trials):
        params = {"x": rng.random(), "y": rng.random()}
        if number >= trials - rare:
            params["rare"] = rng.random()
        add(study, params["x"], params)
    return study


class References(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {value}" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]


def stored(families: Mapping[str, optuna.Study]) -> list[StoredFamily]:
    study = Study("digits", data=Data("digits"), families=[Family("lenet", architecture="lenet")])
    return [
        StoredFamily(name=name, optuna_study=trials, study=study, trials=tuple(map(trial_of, trials.trials)), kept={})
        for name, trials in families.items()
    ]


def page_of(folder: Path, families: Mapping[str, optuna.Study], study_name: str = "digits") -> str:
    path = folder / "page.html"
    found = {name: importances(study) for name, study in families.items()}
    write_page(path, study_name, stored(families), metric="val_accuracy", found=found)
    return path.read_text(encoding="utf-8")


def without_scripts(page: str) -> str:
    return re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_parameter_that_decides_comes_first(direction: Direction) -> None:
    found = importances(study_of(60, direction=direction))
    assert list(found.values) == ["x", "y"]
    assert sum(found.values.values()) == pytest.approx(1.0)
    assert found.values["x"] > 0.9
    assert (found.finished, found.reliable, found.note) == (60, True, "")


def test_below_the_minimum_the_note_says_too_few() -> None:
    found = importances(study_of(MINIMUM_TRIALS - 1))
    assert not found.reliable
    assert set(found.values) == {"x", "y"}
    assert found.note == "too few trials to rank: 19 finished, 20 needed"
    assert importances(study_of(MINIMUM_TRIALS)).reliable


def test_a_conditional_parameter_of_few_trials_is_left_out_and_said_to_be() -> None:
    found = importances(study_of(40, rare=19))
    assert set(found.values) == {"x", "y"}
    assert found.left_out == {"rare": 19}
    assert found.note == "left out, in fewer than 20 of the finished trials: rare (in 19)"


def test_a_conditional_parameter_of_enough_trials_is_ranked() -> None:
    found = importances(study_of(40, rare=20))
    assert set(found.values) == {"x", "y", "rare"}
    assert found.left_out == {}


def test_only_finished_trials_with_a_finite_value_count() -> None:
    study = study_of(30)
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    study.enqueue_trial({"x": 0.5})
    add(study, float("inf"), {"x": 0.5, "y": 0.5})
    assert importances(study).finished == 30


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("ped_anova", PedAnovaImportanceEvaluator()),
        ("fanova", FanovaImportanceEvaluator(seed=0)),
        ("mdi", MeanDecreaseImpurityImportanceEvaluator(seed=0)),
    ],
)
def test_the_shares_are_those_of_optunas_evaluators(name: str, theirs: BaseImportanceEvaluator) -> None:
    study = study_of(15)
    assert dict(importances(study, evaluator=name).values) == pytest.approx(
        get_param_importances(study, evaluator=theirs, params=["x", "y"])
    )


def test_ped_anova_is_what_ranks_unless_another_is_asked_for() -> None:
    study = study_of(25)
    assert importances(study) == importances(study, evaluator="ped_anova")
    assert importances(study).evaluator == next(iter(EVALUATORS)) == "ped_anova"


def test_an_unknown_evaluator_is_refused_with_the_known_ones() -> None:
    known = "unknown evaluator 'fanva' (did you mean 'fanova'?); valid names: ped_anova, fanova, mdi"
    with pytest.raises(StudyError, match=re.escape(known)):
        importances(study_of(3), evaluator="fanva")


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("trials", [2, 3, 12])
def test_every_share_lies_in_its_interval_and_an_interval_between_0_and_1(evaluator: str, trials: int) -> None:
    found = importances(study_of(trials), evaluator=evaluator)
    assert found.intervals.keys() == found.chance.keys() == found.values.keys()
    for name, (low, high) in found.intervals.items():
        assert 0 <= low <= found.values[name] <= high <= 1
    assert trials > 2 or set(found.intervals.values()) <= {(0.0, 1.0)}


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_what_decides_is_told_from_chance_and_what_does_not_is_not(evaluator: str) -> None:
    found = importances(study_of(40), evaluator=evaluator)
    assert next(iter(found.values)) == "x"
    assert found.unproven == ("y",)
    assert found.intervals["x"][0] > found.intervals["y"][1]


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_the_same_study_gets_the_same_shares_and_intervals_again(evaluator: str) -> None:
    study = study_of(10)
    assert importances(study, evaluator=evaluator) == importances(study, evaluator=evaluator)


def test_intervals_grow_narrower_with_trials() -> None:
    few, many = (importances(study_of(trials)).intervals["x"] for trials in (20, 80))
    assert many[1] - many[0] < (few[1] - few[0]) / 2


def test_names_in_any_order_keep_their_own_shares() -> None:
    # Optuna's MDI gives the importance of the first name in the alphabet to the first one that it is asked for.
    study = optuna.create_study(direction="maximize")
    rng = random.Random(1)  # noqa: S311  made-up trials
    for _ in range(20):
        params = {name: rng.random() for name in ("z", "decides", "a")}
        add(study, params["decides"], params)
    assert next(iter(importances(study, evaluator="mdi").values)) == "decides"


@pytest.mark.parametrize("evaluator", ["fanova", "mdi"])
def test_a_forest_leaves_out_what_some_trials_lack_and_says_why(evaluator: str) -> None:
    found = importances(study_of(15, rare=12), evaluator=evaluator)
    assert set(found.values) == {"x", "y"}
    assert found.left_out == {"rare": 12}
    assert found.note == (
        "too few trials to rank: 15 finished, 20 needed; "
        f"left out, as {evaluator} ranks only what all finished trials have, in one range: rare (in 12)"
    )


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_range_that_changed_under_way_is_no_error(evaluator: str) -> None:
    study = study_of(14)
    for number in range(6):
        add(study, number / 10, {"x": number / 10, "y": 0.5 + number}, y=FloatDistribution(0.0, 20.0))
    found = importances(study, evaluator=evaluator)
    assert found.left_out == ({} if evaluator == "ped_anova" else {"y": 14})
    assert "x" in found.values


def test_an_empty_study_has_no_importances() -> None:
    nothing = Importances(values={}, finished=0, left_out={})
    assert importances(optuna.create_study()) == nothing


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_equal_shares_of_undecided_parameters_are_not_shown(evaluator: str) -> None:
    single, equal = study_of(1), optuna.create_study()
    for number in range(30):
        add(equal, 0.5, {"x": number / 30, "y": number / 60})
    for study in (single, equal):
        found = importances(study, evaluator=evaluator)
        assert (found.values, found.intervals, found.unproven) == ({}, {}, ())


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_optuna_keeps_quiet(evaluator: str, capfd: pytest.CaptureFixture[str]) -> None:
    study = study_of(3, rare=1)
    capfd.readouterr()
    importances(study, evaluator=evaluator)
    assert capfd.readouterr() == ("", "")


def test_the_page_shows_every_family_with_its_best_trial(tmp_path: Path) -> None:
    page = without_scripts(page_of(tmp_path, {"lenet": study_of(25), "mlp": study_of(5), "new": study_of(0)}))
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["lenet", "mlp", "new"]
    assert re.findall(r'<a href="#family-(\d)">(\w+)</a>', page) == [("1", "lenet"), ("2", "mlp"), ("3", "new")]
    assert "25 trials: 25 finished." in page
    best = max(study_of(25).trials, key=lambda trial: trial.values[0])
    assert f"<strong>{best.value:.4g}</strong> in trial {best.number}" in page
    assert f"<li>x = {best.params['x']:.4g}</li>" in page
    assert "too few trials to rank: 5 finished, 20 needed" in page


def test_the_page_shows_the_importances_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    found = Importances(values={"y": 0.7, "x": 0.3}, finished=5, left_out={}, intervals={"y": (0.5, 0.9), "x": (0, 1)})
    write_page(path, "digits", stored({"lenet": study_of(5)}), metric="val_accuracy", found={"lenet": found})
    assert "0.70 (0.50-0.90)" in path.read_text(encoding="utf-8")


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = page_of(tmp_path, {"lenet": study_of(25)})
    references = References()
    references.feed(page)
    assert references.found == ["a #family-1"]
    assert "url(" not in without_scripts(page)
    assert "default-src 'none'" in page


def test_hostile_names_and_choices_are_escaped_everywhere(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    choices = CategoricalDistribution((HOSTILE, "adam"))
    for number in range(25):
        choice = choices.choices[number % 2]
        add(study, number / 25, {"optimizer": choice, HOSTILE: number / 25}, optimizer=choices)
    page = page_of(tmp_path, {HOSTILE: study}, study_name=HOSTILE)
    assert HOSTILE not in page
    assert page.count("<script") == page_of(tmp_path, {"lenet": study_of(25)}).count("<script")


def test_the_page_stays_below_ten_megabytes_and_its_library_is_there_once(tmp_path: Path) -> None:
    from plotly.offline import get_plotlyjs  # pyright: ignore[reportMissingTypeStubs]

    path = tmp_path / "page.html"
    studies = {name: study_of(300, rare=100) for name in ("a", "b", "c")}
    shares = {"x": 0.8, "y": 0.1, "rare": 0.1}
    found = Importances(values=shares, finished=300, left_out={}, intervals=dict.fromkeys(shares, (0.0, 1.0)))
    write_page(path, "digits", stored(studies), metric="val_accuracy", found=dict.fromkeys(studies, found))
    page = path.read_text(encoding="utf-8")
    assert page.count(get_plotlyjs()[:200]) == 1
    assert len(page.encode()) < 10_000_000


def test_a_page_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "page.html"
    path.parent.mkdir()
    write_page(path, "digits", [], metric="val_accuracy", found={})
    before = path.read_bytes()

    def fail(_self: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match=r"page.html cannot be written: no space"):
        page_of(path.parent, {"lenet": study_of(2)})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_a_browser_draws_all_figures_without_a_complaint(
    tmp_path: Path, browse: Callable[[str, Callable[[str], bool]], str]
) -> None:
    study = study_of(25)
    choices = CategoricalDistribution((HOSTILE, "adam"))
    add(study, 0.5, {"x": 0.5, "y": 0.5, "optimizer": HOSTILE}, optimizer=choices)
    page = page_of(tmp_path, {"lenet": study})
    figures = page.count('class="plot"')
    assert figures > 8
    drawn = browse((tmp_path / "page.html").as_uri(), lambda seen: seen.count(DRAWN) == figures)
    assert "<title>digits: what matters</title>" in drawn
