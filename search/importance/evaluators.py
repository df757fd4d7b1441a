"""What can rank hyperparameters: PED-ANOVA, and two that grow a random forest, fANOVA and mean decrease of impurity."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator

EvaluatorName = Literal["ped_anova", "fanova", "mdi"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """One of Optuna's evaluators, and what may be asked of it.

    Attributes:
        name: what users call it.
        conditional: whether it ranks parameters that some finished trials lack.
        rounds: how often trials are left out for the intervals.
        shuffles: how often values are shuffled to see what chance gives.
        at_most: the most trials that a round or a shuffle uses; a forest's time grows faster than they do.
    """

    name: EvaluatorName
    conditional: bool
    rounds: int
    shuffles: int
    at_most: int

    def make(self, trees: int) -> "BaseImportanceEvaluator":
        """Return Optuna's evaluator; a forest has so many trees."""
        from optuna import importance  # takes seconds

        match self.name:
            case "ped_anova":
                return importance.PedAnovaImportanceEvaluator()
            case "fanova":
                return importance.FanovaImportanceEvaluator(n_trees=trees, seed=0)
            case "mdi":
                return importance.MeanDecreaseImpurityImportanceEvaluator(n_trees=trees, seed=0)


DEFAULT_EVALUATOR = "ped_anova"
EVALUATORS: dict[str, Evaluator] = {
    evaluator.name: evaluator
    for evaluator in (
        Evaluator(name="ped_anova", conditional=True, rounds=40, shuffles=40, at_most=300),
        Evaluator(name="fanova", conditional=False, rounds=16, shuffles=10, at_most=60),
        Evaluator(name="mdi", conditional=False, rounds=20, shuffles=20, at_most=100),
    )
}
