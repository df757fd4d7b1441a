"""Search spaces: the values of a hyperparameter, and the condition under which it exists."""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from decimal import Decimal
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from .choice import Choice, Condition, ExactFloat, ExactInt, is_exact

STRICT = ConfigDict(strict=True, extra="forbid")
FROZEN = ConfigDict(strict=True, extra="forbid", frozen=True)


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

    low: ExactFloat
    high: ExactFloat
    _: KW_ONLY
    log: bool = False
    step: Annotated[ExactFloat, Gt(0)] | None = None
    when: Condition = Field(default_factory=dict)
    type: Literal["float"] = "float"

    @model_validator(mode="after")
    def _check(self) -> "Float":
        _check_range(self.low, self.high, log=self.log, stepped=self.step is not None)
        if self.step is not None and not _on_grid(self.low, self.high, self.step):
            raise ValueError(f"high must be low plus a whole number of steps of {self.step}, but got {self.high}")
        return self

    def contains(self, value: object) -> bool:
        """Return whether the value lies in the range, and on the grid if there is one."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if not is_exact(value):
            return False
        if self.step is None:
            return True
        position = (value - self.low) / self.step
        return abs(position - round(position)) < 1e-9  # noqa: PLR2004 - rounding of decimal steps

    def count(self) -> int | None:
        """Return the number of values; None for infinitely many."""
        if self.low == self.high:
            return 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1


@dataclass(frozen=True, config=STRICT)
class Int:
    """A whole number in [low, high].

    Args:
        low: smallest value, not below -2^53.
        high: largest value, not below `low` and not above 2^53.
        log: draw the logarithm uniformly; `low` must be at least 1.
        step: spacing of the grid that starts at `low`; `high` must lie on it.
        when: the values of other hyperparameters under which this one exists.

    >>> Int(2, 8, step=2).contains(5)
    False
    """

    low: ExactInt
    high: ExactInt
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
        """Return whether the value is a whole number in the range and on its grid."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def count(self) -> int:
        """Return the number of values."""
        return (self.high - self.low) // self.step + 1


class Categorical(BaseModel):
    """One of several unordered values: `Categorical("adam", "sgd")`.

    Args:
        choices: at least one bool, int, float, str or None, all distinct.
        when: the values of other hyperparameters under which this one exists.

    >>> Categorical(64, 128).contains(128)
    True
    """

    model_config = FROZEN

    choices: Annotated[tuple[Choice, ...], Field(strict=False, min_length=1)]
    when: Condition = Field(default_factory=dict)
    type: Literal["categorical"] = "categorical"

    # pydantic reads JSON through this signature too, with the choices as a keyword.
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
        # Optuna and MLflow do not distinguish 1, 1.0 and True.
        for position, choice in enumerate(self.choices):
            if choice in self.choices[:position]:
                raise ValueError(f"choices must differ, but got {choice!r} twice")
        return self

    def contains(self, value: object) -> bool:
        """Return whether the value is one of the choices, and of the same type."""
        return _is_one_of(value, self.choices)

    def count(self) -> int:
        """Return the number of values."""
        return len(self.choices)


Distribution = Annotated[Float | Int | Categorical, Field(discriminator="type")]
Space = Mapping[str, Distribution]
"""Maps the name of a hyperparameter to its distribution."""


def _is_one_of(value: object, allowed: Iterable[Choice]) -> bool:
    return any(type(value) is type(each) and value == each for each in allowed)


def _on_grid(low: float, high: float, step: float) -> bool:
    """Return whether steps lead from low to high, counted in decimals as they are written, as Optuna counts."""
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
    """Return whether the values chosen so far meet a condition.

    >>> applies({"optimizer": ("sgd", "adamw")}, {"optimizer": "sgd"})
    True
    >>> applies({"optimizer": "sgd"}, {})
    False
    """
    return all(
        name in values and _is_one_of(values[name], wanted if isinstance(wanted, tuple) else (wanted,))
        for name, wanted in condition.items()
    )


def ordered(space: Space) -> list[str]:
    """Return the names of a space, each after those that its condition depends on, else in their given order.

    Raises:
        ValueError: conditions that depend on each other in a circle.

    >>> ordered({"momentum": Float(0, 0.9, when={"optimizer": "sgd"}), "optimizer": Categorical("adam", "sgd")})
    ['optimizer', 'momentum']
    """
    done: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [name for name in waiting if not any(parent in waiting for parent in space[name].when)]
        if not ready:
            raise ValueError(f"the conditions of {', '.join(waiting)} depend on each other in a circle")
        done += ready
        waiting = [name for name in waiting if name not in ready]
    return done


def misfit(space: Space, values: Mapping[str, object], fixed: Mapping[str, object]) -> str | None:
    """Return why a configuration, complete or not, does not lie in a space; None if it does.

    Conditions may also depend on the `fixed` values outside the space.

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
            wanted = " and ".join(f"{parent} is {wanted!r}" for parent, wanted in condition.items())
            return f"{name} exists only when {wanted}"
    return None


def describe(distribution: Float | Int | Categorical) -> str:
    """Return a distribution in words, for messages and tables.

    >>> describe(Int(16, 256, log=True))
    'an int from 16 to 256, logarithmic'
    """
    if isinstance(distribution, Categorical):
        return "one of " + ", ".join(repr(choice) for choice in distribution.choices)
    step = f" in steps of {distribution.step}" if distribution.step not in (None, 1) else ""
    log = ", logarithmic" if distribution.log else ""
    article = "an int" if isinstance(distribution, Int) else "a float"
    return f"{article} from {distribution.low} to {distribution.high}{step}{log}"


def size(space: Space, fixed: Mapping[str, object]) -> int | None:
    """Return the number of configurations in a space; None for infinitely many. `fixed` is as for `misfit`.

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
