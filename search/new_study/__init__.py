"""A study written for a folder of images."""

from .new_study import Findings, NewStudy, Target, check_target, look, plan_study, write_study
from .study_text import rough_duration, size_range

__all__ = [
    "Findings",
    "NewStudy",
    "Target",
    "check_target",
    "look",
    "plan_study",
    "rough_duration",
    "size_range",
    "write_study",
]
