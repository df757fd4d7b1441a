"""Search spaces: what a hyperparameter may be, and under which condition it exists at all."""

from collections.abc import Mapping
from dataclasses import KW_ONLY
from decimal import Decimal
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool, StrictInt, StrictStr, model_validator
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(strict=True, extra="forbid")
FROZEN = ConfigDict(strict=True, extra="forbid", frozen=True)

Choice = StrictBool | StrictInt | Annotated[FiniteFloat, Field(strict=True)] | StrictStr | None
"""A value of a hyperparameter: whatever JSON, MLflow and Optuna all keep as it is."""

Condition = Mapping[str, Choice | Annotated[tuple[Choice, ...], Field(strict=False)]]
"""Name of another hyperparameter to the value, or values, that it must have: `{"optimizer": "sgd"}`."""


@dataclass(frozen=True, config=STRICT)
class Float:
    """A real number in [low, high], drawn uniformly, uniformly in its logarithm, or from a grid.

    Args:
        low: smallest value, finite.
        high: largest value, finite, not below `low`.
        log: draw the logarithm uniformly; `low` must be above 0.
        step: spacing of the grid that starts at `low`; `high` must lie on it.
        when: the values of other hyperparameters under which this one exists.

    >>> Float(1e-4, 1e-1, log=True).contains(0.01)
    True
    """

    low: FiniteFloat
    high: FiniteFloat
    _: KW_ONLY
    log: bool = False
    step: Annotated[FiniteFloat, Gt(0)] | None = None
    when: Condition = Field(default_factory=dict)
    type: Literal["float"] = "float"

    @model_validator(mode="after")
    def _check(self) -> "Float":
        _check_range(self.low, self.high, log=self.log, stepped=self.step is not None)
        if self.step is not None and not _on_grid(self.low, self.high, self.step):
            raise ValueError(f"high must be low plus a whole number of steps of {self.step}, but got {self.high}")
        return self

    @property
    def steps(self) -> int:
        """Number of steps between low and high; 0 for a continuous range."""
        return 0 if self.step is None else round((self.high - self.low) / self.step)

    def contains(self, value: object) -> bool:
        """Whether the value lies in the range, and on the grid where there is one."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        position = (value - self.low) / self.step
        return abs(position - round(position)) < 1e-9  # noqa: PLR2004 - rounding of decimal steps

    def corners(self) -> tuple[float, ...]:
        """The values that stand for all when types and ranges are checked."""
        return (self.low, self.high)

    def count(self) -> int | None:
        """How many values there are; None for infinitely many."""
        if self.low == self.high:
            return 1
        return None if self.step is None else self.steps + 1


@dataclass(frozen=True, config=STRICT)
class Int:
    """A whole number in [low, high].

    Args:
        low: smallest value.
        high: largest value, not below `low`.
        log: draw the logarithm uniformly; `low` must be at least 1.
        step: spacing of the grid that starts at `low`; `high` must lie on it.
        when: the values of other hyperparameters under which this one exists.

    >>> Int(2, 8, step=2).contains(5)
    False
    """

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: Annotated[int, Ge(1)] = 1
    when: Condition = Field(default_factory=dict)
    type: Literal["int"] = "int"

    @model_validator(mode="after")
    def _check(self) -> "Int":
        _check_range(self.low, self.high, log=self.log, stepped=self.step != 1)
        if (self.high - self.low) % self.step:
            raise ValueError(f"high must be low plus a whole number of steps of {self.step}, but got {self.high}")
        return self

    def contains(self, value: object) -> bool:
        """Whether the value is a whole number of the range and of its grid."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def corners(self) -> tuple[int, ...]:
        """The values that stand for all when types and ranges are checked."""
        return (self.low, self.high)

    def count(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1


class Categorical(BaseModel):
    """One of some values, without order: `Categorical("adam", "sgd")`.

    Args:
        choices: at least one value, each a bool, int, float, str or None, none of them twice.
        when: the values of other hyperparameters under which this one exists.

    >>> Categorical(64, 128).contains(128)
    True
    """

    model_config = FROZEN

    choices: Annotated[tuple[Choice, ...], Field(strict=False, min_length=1)]
    when: Condition = Field(default_factory=dict)
    type: Literal["categorical"] = "categorical"

    # pydantic reads JSON through this signature too, where the choices come by name.
    def __init__(
        self,
        /,
        *values: Choice,
        choices: "tuple[Choice, ...] | list[Choice]" = (),
        when: Condition | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(choices=values or choices, when=when or {}, **rest)

    @model_validator(mode="after")
    def _check(self) -> "Categorical":
        # Optuna and MLflow tell 1, 1.0 and True apart by nothing, so one of them is enough.
        for position, choice in enumerate(self.choices):
            if choice in self.choices[:position]:
                raise ValueError(f"choices must differ, but got {choice!r} twice")
        return self

    def contains(self, value: object) -> bool:
        """Whether the value is one of the choices, of the same type."""
        return any(type(value) is type(choice) and value == choice for choice in self.choices)

    def corners(self) -> tuple[Choice, ...]:
        """The values that stand for all when types and ranges are checked."""
        return self.choices

    def count(self) -> int:
        """How many values there are."""
        return len(self.choices)


Distribution = Annotated[Float | Int | Categorical, Field(discriminator="type")]
Space = Mapping[str, Distribution]
"""Name of a hyperparameter to what it may be."""


def _on_grid(low: float, high: float, step: float) -> bool:
    """Whether steps lead from low to high, counted in decimals as they are written, which is how Optuna counts."""
    if not (high - low) / step < 2**53:  # more steps than a float can count
        return False
    return (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) == 0


def _check_range(low: float, high: float, *, log: bool, stepped: bool) -> None:
    if low > high:
        raise ValueError(f"low must not be above high, but got {low} and {high}")
    if log and low <= 0:
        raise ValueError(f"low must be above 0 on a logarithmic scale, but got {low}")
    if log and stepped:
        raise ValueError("a logarithmic scale has no step")


def applies(condition: Condition, values: Mapping[str, object]) -> bool:
    """Whether all that a condition asks for is among the values chosen so far.

    >>> applies({"optimizer": ("sgd", "adamw")}, {"optimizer": "sgd"})
    True
    >>> applies({"optimizer": "sgd"}, {})
    False
    """
    for name, wanted in condition.items():
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        if name not in values or not any(
            type(values[name]) is type(value) and values[name] == value for value in allowed
        ):
            return False
    return True


def ordered(space: Mapping[str, Float | Int | Categorical]) -> list[str]:
    """The names of a space, each after those that its condition looks at, else in their given order.

    Raises:
        ValueError: conditions that look at each other in a circle.

    >>> ordered({"momentum": Float(0, 0.9, when={"optimizer": "sgd"}), "optimizer": Categorical("adam", "sgd")})
    ['optimizer', 'momentum']
    """
    done: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [name for name in waiting if not any(parent in waiting for parent in space[name].when)]
        if not ready:
            raise ValueError(f"the conditions of {', '.join(waiting)} look at each other in a circle")
        done += ready
        waiting = [name for name in waiting if name not in ready]
    return done


def misfit(
    space: Mapping[str, Float | Int | Categorical], values: Mapping[str, object], fixed: Mapping[str, object]
) -> str | None:
    """What keeps a configuration from lying in a space, or None when it does.

    Args:
        space: what each hyperparameter may be.
        values: a configuration; hyperparameters may be missing, to be drawn.
        fixed: values outside the space that conditions may look at.

    >>> misfit({"lr": Float(0.1, 1)}, {"lr": 2.0}, {})
    'lr must be a float from 0.1 to 1.0, but got 2.0'
    """
    known = {**fixed, **values}
    for name, value in values.items():
        if name not in space:
            return f"{name} is not in the space ({', '.join(space)})"
        if not space[name].contains(value):
            return f"{name} must be {describe(space[name])}, but got {value!r}"
        condition = space[name].when
        if all(parent in known for parent in condition) and not applies(condition, known):
            return f"{name} exists only when {_condition_text(condition)}"
    return None


def describe(distribution: Float | Int | Categorical) -> str:
    """A distribution in words, for messages and tables.

    >>> describe(Int(16, 256, log=True))
    'an int from 16 to 256, logarithmic'
    """
    if isinstance(distribution, Categorical):
        return "one of " + ", ".join(repr(choice) for choice in distribution.choices)
    step = f" in steps of {distribution.step}" if distribution.step not in (None, 1) else ""
    log = ", logarithmic" if distribution.log else ""
    article = "an int" if isinstance(distribution, Int) else "a float"
    return f"{article} from {distribution.low} to {distribution.high}{step}{log}"


def _condition_text(condition: Condition) -> str:
    return " and ".join(f"{name} is {wanted!r}" for name, wanted in condition.items())


def size(space: Mapping[str, Float | Int | Categorical], fixed: Mapping[str, object]) -> int | None:
    """How many configurations a space holds; None for infinitely many.

    Args:
        space: what each hyperparameter may be.
        fixed: values outside the space that conditions may look at.

    >>> momentum = Float(0, 0.9, step=0.3, when={"optimizer": "sgd"})
    >>> size({"optimizer": Categorical("adam", "sgd"), "momentum": momentum}, {})
    5
    """
    parents = {parent for distribution in space.values() for parent in distribution.when}

    def count(names: list[str], values: dict[str, object]) -> int | None:
        if not names:
            return 1
        name, *rest = names
        distribution = space[name]
        if not applies(distribution.when, values):
            return count(rest, values)
        if name in parents and isinstance(distribution, Categorical):
            counts = [count(rest, {**values, name: choice}) for choice in distribution.choices]
            return None if None in counts else sum(number for number in counts if number is not None)
        here, below = distribution.count(), count(rest, values)
        return None if here is None or below is None else here * below

    return count(ordered(space), dict(fixed))
