"""Launchers carry jobs to workers: `inline` in this process, `processes` on this machine's cores or GPUs."""

from .base import EpochEnded, Event, JobEnded, JobFailed, Launcher
from .inline import InlineLauncher
from .processes import ProcessLauncher

__all__ = ["EpochEnded", "Event", "InlineLauncher", "JobEnded", "JobFailed", "Launcher", "ProcessLauncher"]
