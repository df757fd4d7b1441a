import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.datasets.folders.name_groups import SuggestedGroups
from optrack.datasets.folders.survey import FolderSurvey
from optrack.search.coordinator.checks import check_study
from optrack.search.new_study.proposal import propose
from optrack.search.new_study.study_text import (
    Draft,
    Estimate,
    Findings,
    Target,
    literal,
    plain,
    raw_literal,
    rough_duration,
    study_text,
)
from optrack.search.study.lookup import load_study

RUFF = Path(sys.executable).with_name("ruff")
ROOT = Path(__file__).parents[3]

SURVEY = FolderSurvey(
    folder=Path("photos"),
    has_parts=True,
    parts={part: {"ants": 97, "bees": 90} for part in ("train", "validation", "test")},
    sealed="list",
    looked_at=561,
    smallest=(160, 170),
    median=(200, 300),
    largest=(400, 500),
    short_side=200,
    grey=False,
    groups=None,
)
GROUPS = SuggestedGroups(
    pattern=r"^(.+)_\d+\.[^./]+$", reason="frames", groups=9, images=99, example=("ants/1_1.jpg", "ants/1_2.jpg")
)
SPLIT_OFF = replace(SURVEY, parts={part: SURVEY.parts[part] for part in ("train", "test")}, groups=GROUPS)
SMALL = replace(SPLIT_OFF, grey=True, short_side=28, smallest=(28, 28), largest=(28, 28), sealed="folder")
MANY = replace(
    SURVEY,
    parts={part: {f"class {number:04}": 30 for number in range(400)} for part in ("train", "validation", "test")},
)
ESTIMATE = Estimate(trials=10, run_seconds=200.0, retrain_seconds=5400.0, workers=2)
MISSING = (
    "the pretrained weights of mobilenet_v2 are missing: put mobilenet_v2-b0353104.pth into "
    "/home/somebody/.cache/torch/hub/checkpoints, as https://download.pytorch.org/models/mobilenet_v2-b0353104.pth "
    "could not be fetched (<urlopen error [Errno -3] Temporary failure in name resolution>)"
)


BLOCKS = {"mobilenet_v2": 19, "resnet18": 5, None: 0}


def draft_of(
    survey: FolderSurvey,
    transfer: str | None = "mobilenet_v2",
    *,
    group_pattern: str | None = None,
    missing: str | None = None,
    file: str = "mine.py",
    images: str = "photos",
) -> Draft:
    pattern = survey.groups.pattern if survey.groups else group_pattern
    return Draft(
        target=Target(file=Path(file), images=Path(images)),
        findings=Findings(
            survey=survey,
            searched={"train": survey.parts["train"], "validation": survey.parts.get("validation", {})},
            group_pattern=pattern,
            to_list=None,
            doubts=(),
        ),
        proposal=propose(survey, transfer=transfer, blocks=BLOCKS[transfer], device="cpu"),
        missing=missing,
    )


DRAFTS = {
    "few photographs": draft_of(SURVEY),
    "another network": draft_of(SURVEY, "resnet18"),
    "no weights": draft_of(SURVEY, None, missing=MISSING),
    "validation by group": draft_of(SPLIT_OFF),
    "small grey images": draft_of(SMALL),
    "many classes": draft_of(MANY),
    "sides": draft_of(replace(SURVEY, parts={part: {"left": 50, "right": 50} for part in SURVEY.parts})),
    "odd names": draft_of(
        replace(SURVEY, parts={part: {'a\n"""': 50, "\\b\udcff": 50} for part in SURVEY.parts}),
        file='it"s.py',
        images='my "photos"/it\'s\\',
    ),
    "a long path": draft_of(SURVEY, images=f"/{'very/long/' * 20}photos"),
    "an own pattern": draft_of(SURVEY, group_pattern='^"(.+)"_'),
}


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_a_text_is_a_study_that_can_be_trained_and_is_formatted(draft: Draft, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(study_text(draft, ESTIMATE), encoding="utf-8")
    study = load_study(str(file))
    check_study(study)
    assert (study.name, study.data.name) == (draft.target.study, f"image_folder:{draft.target.images}")
    assert study.data.image_size == draft.proposal.image_size
    assert study.data.group_pattern == draft.findings.group_pattern
    assert study.data.validation == (draft.proposal.validation or 0.2)
    assert (study.budget.trials, study.budget.epochs) == (10, draft.proposal.epochs)
    assert all(family.start and family.space for family in study.families)
    command = [RUFF, "format", "--isolated", "--line-length", "120", "--diff", "--no-cache", file]
    formatted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert formatted.returncode == 0, formatted.stdout
    assert [line for line in file.read_text(encoding="utf-8").splitlines() if line != line.rstrip()] == []


def test_its_style_is_that_of_the_shipped_studies(tmp_path: Path) -> None:
    for name in ("few photographs", "no weights", "validation by group", "small grey images"):
        file = tmp_path / f"{name.replace(' ', '_')}.py"
        file.write_text(study_text(DRAFTS[name], ESTIMATE), encoding="utf-8")
    command = [RUFF, "check", "--config", ROOT / "pyproject.toml", "--ignore", "INP001", "--no-cache", tmp_path]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def families(name: str, tmp_path: Path) -> list[str]:
    file = tmp_path / "mine.py"
    file.write_text(study_text(DRAFTS[name], None), encoding="utf-8")
    return [family.name for family in load_study(str(file)).families]


def test_families_are_what_the_images_and_the_weights_allow(tmp_path: Path) -> None:
    assert families("few photographs", tmp_path) == ["small", "mobilenet_frozen", "mobilenet_learned"]
    assert families("another network", tmp_path) == ["small", "resnet18_frozen", "resnet18_learned"]
    assert families("no weights", tmp_path) == families("small grey images", tmp_path) == ["small", "lenet"]


def test_the_header_says_what_was_found_and_how_long_it_takes() -> None:
    header = " ".join(str(ast.get_docstring(ast.parse(study_text(DRAFTS["few photographs"], ESTIMATE)))).split())
    for words in (
        "mine: 561 images of 2 classes at 224x224 pixels.",
        "Found in photos: ants, bees; coloured images of 170x160 to 500x400 pixels.",
        "187 are there to train on, 187 to validate on, and 187 are set aside for the test, listed in photos/optrack-",
        "optrack run mine.py",
        "about 4 min for the search, and at most 1 h 30 min more",
    ):
        assert words in header


def test_what_is_missing_and_what_was_guessed_is_said_where_it_matters() -> None:
    text = " ".join(study_text(DRAFTS["no weights"], ESTIMATE).replace("# ", "").split())
    assert f"No pretrained network here: {MISSING}." in text
    text = " ".join(study_text(DRAFTS["validation by group"], ESTIMATE).replace("# ", "").split())
    assert "Guessed from the names (frames): ants/1_1.jpg and ants/1_2.jpg are of one group." in text


@given(st.text())
def test_a_text_as_code_is_the_text(text: str) -> None:
    assert ast.literal_eval(literal(text)) == ast.literal_eval(raw_literal(text)) == text


@given(st.text())
def test_a_text_for_a_docstring_cannot_end_it(text: str) -> None:
    assert ast.get_docstring(ast.parse(f'"""x{plain(text)}x"""'), clean=False) == f"x{plain(text)}x"
    assert "\n" not in plain(text)


@pytest.mark.parametrize(("seconds", "words"), [(0, "1 min"), (60, "1 min"), (61, "2 min"), (3_600, "1 h")])
def test_durations_are_rounded_up(seconds: float, words: str) -> None:
    assert rough_duration(seconds) == words
