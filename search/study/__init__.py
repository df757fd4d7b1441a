"""What to search: studies, families, spaces, and how a study is found by its name. Values only."""

from .lookup import load_study, shipped_studies
from .metric import EPOCH_METRICS, EpochResult, Metric, MetricName, best_epoch
from .signature import Parameter, check_options, keyword_parameters
from .space import Categorical, Choice, Condition, Float, Int, Space, applies, ordered
from .study import Budget, Data, Family, Pruner, Reference, Sampler, Study, first_problem

__all__ = [
    "EPOCH_METRICS",
    "Budget",
    "Categorical",
    "Choice",
    "Condition",
    "Data",
    "EpochResult",
    "Family",
    "Float",
    "Int",
    "Metric",
    "MetricName",
    "Parameter",
    "Pruner",
    "Reference",
    "Sampler",
    "Space",
    "Study",
    "applies",
    "best_epoch",
    "check_options",
    "first_problem",
    "keyword_parameters",
    "load_study",
    "ordered",
    "shipped_studies",
]
