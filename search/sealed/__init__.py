"""The sealed test: the only room that opens the test images."""

from .judge import judge_study

__all__ = ["judge_study"]
