"""Launchers carry jobs to workers: `inline` in this process, `processes` on this machine's cores or GPUs."""

from .base import EpochEnded, Event, JobEnded, JobFailed, Launcher
from .inline import InlineLauncher
from .machine import Machine, devices_of, launcher_of
from .pool import Outcome, Pool, Work, WorkT
from .processes import ProcessLauncher

__all__ = [
    "EpochEnded",
    "Event",
    "InlineLauncher",
    "JobEnded",
    "JobFailed",
    "Launcher",
    "Machine",
    "Outcome",
    "Pool",
    "ProcessLauncher",
    "Work",
    "WorkT",
    "devices_of",
    "launcher_of",
]
