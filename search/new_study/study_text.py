"""The text of a new study file, as a person would have written it: readable, commented, formatted."""

import math
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from ...datasets.folders import TEST_LIST, FolderSurvey
from ..text import duration, shortened
from .proposal import LEAST_STEPS, PRETRAINED_SIZE, Proposal

TEMPLATE = "study_text.py.jinja"
WIDTH = 120
NAMED_CLASSES = 8
NAME_WIDTH = 60

NETWORKS = {"mobilenet_v2": ("mobilenet", "MobileNetV2"), "resnet18": ("resnet18", "ResNet-18")}
"""Architecture to the beginning of its families' names, and what people call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The file to be written, and the images as they were typed."""

    file: Path
    images: Path

    @property
    def study(self) -> str:
        """The study's name, from the file's; empty if nothing of that can be in a name."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", self.file.stem).strip("_.-")[:64]

    @property
    def run_command(self) -> str:
        """The command that runs the study."""
        return f"optrack run {shlex.quote(str(self.file))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is in the folder, and what the study does about it.

    Args:
        survey: of the folder, before validation images are split off.
        searched: "train" and "validation" as the study will have them: name of each class to number of images.
        group_pattern: which images stay together; None for no groups.
        to_list: images to be listed as test images; None if some are set aside already.
        doubts: what the user should know, one sentence each.
    """

    survey: FolderSurvey
    searched: Mapping[str, Mapping[str, int]]
    group_pattern: str | None
    to_list: tuple[str, ...] | None
    doubts: tuple[str, ...]

    @property
    def parts(self) -> Mapping[str, Mapping[str, int]]:
        """All parts of the study: name of each class to number of images."""
        return {**self.searched, "test": self.survey.parts["test"]}

    def images(self, part: str) -> int:
        """Return how many images a part has."""
        return sum(self.parts[part].values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a study file says, except how long it takes; `missing` says which pretrained weights are not there."""

    target: Target
    findings: Findings
    proposal: Proposal
    missing: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long a study will take on this machine; retraining, at most."""

    trials: int
    run_seconds: float
    retrain_seconds: float
    workers: int


def study_text(draft: Draft, estimate: Estimate | None) -> str:
    """Return the text of a study file; without an estimate, a text of which only the families count."""
    environment = jinja2.Environment(  # noqa: S701 - it writes Python, and `literal` and `plain` say what may stand in it
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    proposal = draft.proposal
    transfer = proposal.transfer
    return environment.get_template(TEMPLATE).render(
        headline=_headline(draft),
        paragraphs=[_filled(text) for text in (_found(draft), _searched(proposal))],
        run_command=plain(draft.target.run_command),
        estimated=_filled(_estimated(draft, estimate)),
        name=literal(draft.target.study),
        images=literal(f"image_folder:{draft.target.images}"),
        size_reason=_size_reason(draft),
        group_pattern=draft.findings.group_pattern and raw_literal(draft.findings.group_pattern),
        group_comment=_commented(_group_comment(draft)),
        missing=_commented(_missing(draft)),
        network=NETWORKS[transfer.architecture][0] if transfer else None,
        trials=1 if estimate is None else estimate.trials,
        proposal=proposal,
        batch_reason=_batch_reason(draft),
    )


def literal(text: str) -> str:
    r"""Return a text as Python code, in double quotes unless single ones need fewer escapes.

    >>> print(literal("ants"), literal('a "b"'), literal("it's"), literal("a\\b"))
    "ants" 'a "b"' "it's" "a\\b"
    """
    code = repr(text)
    return f'"{code[1:-1]}"' if code.startswith("'") and '"' not in text else code


def raw_literal(pattern: str) -> str:
    r"""Return a regular expression as Python code, raw if that is easier to read.

    >>> print(raw_literal(r"^(.+)_\d+"))
    r"^(.+)_\d+"
    """
    can_be_raw = pattern.isprintable() and '"' not in pattern and not pattern.endswith("\\")
    return f'r"{pattern}"' if "\\" in pattern and can_be_raw else literal(pattern)


def plain(text: str) -> str:
    """Replace the characters of a text that comments and docstrings cannot hold.

    >>> print(plain('a "b"' + chr(10) + "c"))
    a 'b'?c
    """
    return "".join(
        "'" if character == '"' else character if character.isprintable() and character != "\\" else "?"
        for character in text
    )


def rough_duration(seconds: float) -> str:
    """Return an estimated duration, rounded up to minutes.

    >>> rough_duration(42), rough_duration(200), rough_duration(5400)
    ('1 min', '4 min', '1 h 30 min')
    """
    return duration(60 * max(1, math.ceil(seconds / 60)))


def size_range(survey: FolderSurvey) -> str:
    """Return width by height of a folder's images, as people write it."""
    (low_height, low_width), (high_height, high_width) = survey.smallest, survey.largest
    smallest, largest = f"{low_width}x{low_height}", f"{high_width}x{high_height}"
    return smallest if smallest == largest else f"{smallest} to {largest}"


def _headline(draft: Draft) -> str:
    survey, size = draft.findings.survey, draft.proposal.image_size
    line = f"{survey.images():,} images of {len(survey.classes)} classes at {size}x{size} pixels."
    return f"{plain(draft.target.study)}: {line}"


def _found(draft: Draft) -> str:
    survey = draft.findings.survey
    train, validation = draft.findings.images("train"), draft.findings.images("validation")
    colour = "grey" if survey.grey else "coloured"
    folder = _short(str(draft.target.images))
    test = f"listed in {folder}/{TEST_LIST}" if survey.sealed == "list" else f"in {folder}/test"
    names = [_short(name) for name in survey.classes[:NAMED_CLASSES]]
    more = len(survey.classes) - len(names)
    classes = ", ".join(names) + (f" and {more} more" if more else "")
    return (
        f"Found in {folder}: {classes}; {colour} images of {size_range(survey)} pixels. {train:,} are there to train "
        f"on, {validation:,} to validate on, and {survey.images('test'):,} are set aside for the test, {test}."
    )


def _searched(proposal: Proposal) -> str:
    families = "a small network from scratch"
    if proposal.lenet:
        families += ", and LeNet"
    if proposal.transfer:
        network = NETWORKS[proposal.transfer.architecture][1]
        families += f", and {network} with ImageNet's weights, its features as they come or trained in the last blocks"
    return f"Searched: {families}. Written by `optrack new`; everything in it may be changed."


def _estimated(draft: Draft, estimate: Estimate | None) -> str:
    if estimate is None:
        return "Not estimated."
    workers = f"{estimate.workers} at a time" if estimate.workers > 1 else "one at a time"
    return (
        f"Estimated from a short measurement on the machine where this was written, trials running {workers}: about "
        f"{rough_duration(estimate.run_seconds)} for the search, and at most "
        f"{rough_duration(estimate.retrain_seconds)} more for `optrack retrain`."
    )


def _size_reason(draft: Draft) -> str:
    size, side = draft.proposal.image_size, draft.findings.survey.short_side
    if size == side:
        return "as they come"
    if draft.proposal.transfer is None:
        return f"they have {side}; networks from scratch do with less, and cost less"
    if size == PRETRAINED_SIZE:
        return f"they have {side}; the pretrained features were learned at {PRETRAINED_SIZE}"
    return f"they have {side}; near the {PRETRAINED_SIZE} of the pretrained features, as far as time allows"


def _batch_reason(draft: Draft) -> str:
    train = draft.findings.images("train")
    largest = draft.proposal.batch_sizes[-1]
    if train >= 2 * LEAST_STEPS * largest:
        return f"larger ones than {largest} need much memory, or gain little"
    return f"up to {largest}, so that an epoch has at least {train // largest} steps"


def _group_comment(draft: Draft) -> str:
    groups = draft.findings.survey.groups
    if groups is None or groups.pattern != draft.findings.group_pattern:
        return "Images for which this finds the same text are near-duplicates, and stay in one part."
    first, second = (_short(name) for name in groups.example)
    return (
        f"Guessed from the names ({groups.reason}): {first} and {second} are of one group. No group is in two parts; a "
        "wrong guess costs little, a missed group makes the results too good."
    )


def _missing(draft: Draft) -> str:
    if draft.missing is None:
        return ""
    return f"No pretrained network here: {plain(draft.missing)}. Once it is there, `optrack new` proposes one."


def _short(name: str) -> str:
    """Return a name for a line among others."""
    return shortened(plain(name), NAME_WIDTH)


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _commented(text: str) -> Sequence[str]:
    """Return the lines of a comment inside the study, indented by eight columns."""
    return textwrap.wrap(text, WIDTH - 8 - 2, break_long_words=False, break_on_hyphens=False)
