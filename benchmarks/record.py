"""What every benchmark writes down: where and with what it was measured, how often, and the middle and the spread."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Repeated measurements of one thing."""

    n: int
    median: float
    lowest: float
    highest: float


def spread(values: Sequence[float]) -> Spread:
    """Their middle, least and greatest.

    >>> spread([3.0, 1.0, 2.0])
    Spread(n=3, median=2.0, lowest=1.0, highest=3.0)
    """
    return Spread(n=len(values), median=statistics.median(values), lowest=min(values), highest=max(values))


def write_record(name: str, *, settings: dict[str, Any], results: list[dict[str, Any]]) -> Path:
    """Write `NAME-DATE.json` into the folder of results, and say where.

    Args:
        name: of the benchmark.
        settings: what it was run with.
        results: one for each thing that was measured.
    """
    now = datetime.now(UTC)
    record = {
        "benchmark": name,
        "time": now.isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions("torch", "torchvision", "numpy"),
        "settings": settings,
        "results": results,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, torch's threads, GPU, and how many processes wanted to run."""
    return {
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def versions(*packages: str) -> dict[str, str | None]:
    """Of Python and of packages; None for those that are not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
