"""A study as data: what to search, on which images, for how long. Frozen, checked when made, to and from JSON."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from ..errors import StudyError, unknown
from .choice import Choice, ChoiceError, several, shown
from .metric import METRICS, Metric, MetricName
from .space import FROZEN, STRICT, Categorical, Float, Int, Space, misfit, ordered, size


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ValueError(
            "the name must consist of at most 64 letters, digits, '_', '.' and '-', and begin with a letter or digit, "
            f"but got {name!r}"
        )
    return name


Name = Annotated[str, AfterValidator(_checked_name)]
"""Used in folders, URLs and MLflow's model names."""

Values = Mapping[str, Choice]
"""A configuration, or part of one: name of a hyperparameter to its value."""


@dataclass(frozen=True, config=STRICT)
class Data:
    """The images of a study.

    Args:
        name: a data set (`optrack dataset list`), `image_folder:PATH`, or a user-defined `file.py:Class`.
        image_size: side of the square images in pixels; they are resized once. None keeps the published size.
        validation: share of the training part that is held out for validation, in (0, 1); ignored where the data set
            has an official validation part.
        group_pattern: regular expression on the relative file name of an `image_folder`; images with the same first
            group, or else the same match, are near-duplicates and stay in one part.
        split_seed: of the validation split; not the study's, so that studies with other seeds use the same images.
    """

    name: Annotated[str, StringConstraints(min_length=1)]
    _: KW_ONLY
    image_size: Annotated[int, Ge(1)] | None = None
    validation: Annotated[float, Gt(0), Lt(1)] = 0.2
    split_seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    group_pattern: str | None = None


@dataclass(frozen=True, config=STRICT)
class Budget:
    """How much a family may spend, in total with what is stored; the first limit that is reached ends it.

    Args:
        trials: trials of each family.
        epochs: of a trial that is not stopped early.
        patience: epochs without improvement after which a trial ends; None for never.
        total_epochs: trained epochs of each family over all trials, at least `epochs`; None for no limit.
        timeout_seconds: wall-clock seconds of one run of the study; None for no limit.
    """

    _: KW_ONLY
    trials: Annotated[int, Ge(1)] = 20
    epochs: Annotated[int, Ge(1)] = 20
    patience: Annotated[int, Ge(1)] | None = None
    total_epochs: Annotated[int, Ge(1)] | None = None
    timeout_seconds: Annotated[FiniteFloat, Gt(0)] | None = None


class _Strategy(BaseModel):
    """A name and its options; `optrack.search.coordinator.strategies` checks that they exist."""

    model_config = FROZEN

    name: str
    options: Values = Field(default_factory=dict)


class Sampler(_Strategy):
    """What proposes configurations: `Sampler("tpe", n_startup_trials=5)`.

    Args:
        name: tpe, gp, cmaes, qmc, random or grid.
        options: keyword arguments, see `optrack.search.coordinator.strategies`.
    """

    def __init__(self, /, name: str, *, options: Values | None = None, **more: Choice) -> None:
        super().__init__(name=name, options={**(options or {}), **more})


class Pruner(_Strategy):
    """What stops unpromising trials: `Pruner("asha", reduction_factor=3)`.

    Args:
        name: asha (also called successive_halving), hyperband, median, wilcoxon or none.
        options: keyword arguments, see `optrack.search.coordinator.strategies`.
    """

    def __init__(self, /, name: str, *, options: Values | None = None, **more: Choice) -> None:
        super().__init__(name=name, options={**(options or {}), **more})


@dataclass(frozen=True, config=STRICT)
class Reference:
    """A published result for a family, to compare with.

    Args:
        validation: accuracy on validation images, in [0, 1]; None where it was not reported.
        test: accuracy on test images, in [0, 1]; None where it was not reported.
        source: where it was reported.
    """

    _: KW_ONLY
    validation: Annotated[float, Ge(0), Le(1)] | None = None
    test: Annotated[float, Ge(0), Le(1)] | None = None
    source: str


@dataclass(frozen=True, config=STRICT)
class Family:
    """One model family: an architecture, its fixed values, its search space, and where the search begins.

    Args:
        name: unique in the study.
        architecture: a registered name (`optrack architecture list`), or a user-defined `file.py:Class`.
        options: fixed values of training and architecture.
        space: what is searched; keys are hyperparameters of training and of the architecture.
        start: configurations that are tried first; values that they leave out are drawn.
        reference: a published result of this family.
    """

    name: Name
    _: KW_ONLY
    architecture: str
    options: Values = Field(default_factory=dict)
    space: Space = Field(default_factory=dict)
    start: Annotated[Sequence[Values], AfterValidator(tuple[Values, ...])] = ()
    reference: Reference | None = None

    @model_validator(mode="after")
    def _check(self) -> "Family":
        both = [name for name in self.options if name in self.space]
        if both:
            raise ValueError(f"{both[0]} is in both options and space of family {self.name!r}")
        self._check_conditions()
        for values in self.start:
            if problem := misfit(self.space, values, self.options):
                raise ValueError(f"a start configuration of family {self.name!r} lies outside its space: {problem}")
        return self

    def _check_conditions(self) -> None:
        """Check that conditions depend on fixed options or categorical hyperparameters, and on possible values."""
        for name, distribution in self.space.items():
            for parent, wanted in distribution.when.items():
                where = f"the condition of {name} in family {self.name!r}"
                parent_space = self.space.get(parent)
                if parent in self.options:
                    continue
                if not isinstance(parent_space, Categorical):
                    raise ValueError(  # noqa: TRY004 - a user's mistake in a value, not in a type
                        f"{where} must depend on a categorical hyperparameter or a fixed option, but names {parent!r}"
                    )
                for value in wanted if isinstance(wanted, tuple) else (wanted,):
                    if not parent_space.contains(value):
                        raise ValueError(
                            f"{where} requires {parent}={value!r}, which is not one of {parent_space.choices}"
                        )
        ordered(self.space)

    def configurations(self) -> int | None:
        """Return how many configurations the space holds; None for infinitely many."""
        return size(self.space, self.options)


@dataclass(frozen=True, config=STRICT)
class Study:
    """A complete search: data, families, budget, metric, sampler and pruner.

    Args:
        name: names the MLflow experiment and Optuna's studies (`NAME/FAMILY`).
        data: the images.
        families: at least one, with distinct names.
        budget: how much each family may spend.
        metric: what is compared: the best epoch's validation accuracy (higher is better) or loss (lower is better).
        sampler: what proposes configurations.
        pruner: what stops unpromising trials; the default found most per trained epoch in a pilot on real curves.
        seed: seeds proposals and training, together with family and trial number.
    """

    name: Name
    _: KW_ONLY
    data: Data
    families: Annotated[Sequence[Family], Field(min_length=1), AfterValidator(tuple[Family, ...])]
    budget: Budget = Field(default_factory=Budget)
    metric: MetricName = "val_accuracy"
    sampler: Sampler = Field(default_factory=lambda: Sampler("tpe"))
    pruner: Pruner = Field(default_factory=lambda: Pruner("asha"))
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0

    @model_validator(mode="after")
    def _check(self) -> "Study":
        twice = [name for name, count in Counter(family.name for family in self.families).items() if count > 1]
        if twice:
            raise ValueError(f"families must have distinct names, but {twice[0]!r} is used twice")
        return self

    @property
    def objective(self) -> Metric:
        """The metric with its direction."""
        return METRICS[self.metric]

    def to_json(self) -> str:
        """Return the study as indented JSON; `from_json` returns an equal study."""
        return _STUDY.dump_json(self, indent=2).decode()

    @staticmethod
    def from_json(text: str | bytes) -> "Study":
        """Return the study that `to_json` wrote.

        Raises:
            StudyError: not JSON, or not a study.
        """
        try:
            return _STUDY.validate_json(text)
        except ValidationError as error:
            raise StudyError(f"not a study: {first_problem(error)}") from None
        except TypeError as error:  # Sampler and Pruner read JSON through their signatures
            raise StudyError(f"not a study: {error}") from None


_STUDY = TypeAdapter(Study)

_CLASSES: Mapping[str, Any] = {
    made.__name__: made for made in (Study, Data, Budget, Family, Reference, Float, Int, Categorical)
}
"""What stands in a study file, by the name that pydantic's errors give it."""


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found, in one line: where, the rule, the value."""
    problem = error.errors()[0]
    fields = _CLASSES[error.title].__pydantic_fields__ if error.title in _CLASSES else ()
    names = [name for name in fields if name != "type"]
    at = list(problem["loc"])
    if at and isinstance(at[0], int) and at[0] < len(names):
        at[0] = names[at[0]]  # pydantic counts what was given without a name
    if len(at) == 1 and names:
        match problem["type"]:
            case "unexpected_keyword_argument" | "extra_forbidden":
                return f"{error.title}: {unknown('argument', str(at[0]), names)}"
            case "unexpected_positional_argument":
                return f"{error.title}: {shown(problem['input'])} must be given by name; names: {', '.join(names)}"
            case "missing":
                return f"{error.title}: {at[0]} is missing"
            case _:
                pass
    if problem["type"] == "value_error" and not _is_choice(problem):
        rule, place = problem["msg"].removeprefix("Value error, "), _place(problem["loc"])
        return f"{error.title}, {place}: {rule}" if place else f"{error.title}: {rule}"
    return f"{error.title}: {_rule(error.title, problem, at)}"


_NO_DISTRIBUTION = ("model_attributes_type", "union_tag_not_found", "union_tag_invalid", "dataclass_exact_type")
"""The types of pydantic's errors where something else stands than a distribution."""

_PLAIN_WORDS = {
    "valid dictionary or instance of": "instance of",
    "a instance": "an instance",
    "an instance of Sequence": "a list",
    "a valid dictionary": "a dict",
}


def _rule(title: str, problem: Mapping[str, Any], at: list[int | str]) -> str:
    """Return where a problem is, the rule, and the value."""
    got, kind = problem["input"], problem["type"]
    if kind in _NO_DISTRIBUTION and "space" in at[:-1]:
        place = _place(at[: at.index("space") + 2])
        return f"{place} must be Float, Int or Categorical, but got {shown(got)}{several(got)}"
    if at[-2:-1] == ["choices"]:
        at = [*at[:-2], "each choice"]
    if _is_choice(problem):
        is_searched = bool(at) and not {"sampler", "pruner", "when"} & {*at, title.lower()}
        return f"{_place(at)} {problem['ctx']['error']}{several(got) if is_searched else ''}"
    if kind == "too_short" and at[-1:] == ["choices"]:
        return f"{_place(at[:-1])} at least one choice is needed".strip()
    rule = problem["msg"].removeprefix("Input ")
    for theirs, ours in _PLAIN_WORDS.items():
        rule = rule.replace(theirs, ours)
    value = "" if isinstance(got, Mapping) else f", but got {shown(got)}"
    return f"{_place(at) or 'value'} {rule[:1].lower() + rule[1:]}{value}"


def _is_choice(problem: Mapping[str, Any]) -> bool:
    return isinstance(problem.get("ctx", {}).get("error"), ChoiceError)


def _place(at: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in at if not isinstance(part, int) or part)
