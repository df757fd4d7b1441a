"""What one sees while a study runs: a live table on a terminal, a line per trial elsewhere; all on stderr."""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from ..coordinator import FamilySearch, Observer
from ..launchers import Work
from ..stores import RunState
from ..study import DIVERGED
from ..text import configuration, duration, plural, short
from ..training import JobKey
from .output import console

STARTING = "starting workers and opening the stores"


class Display(Observer):
    """Writes lines to a console, above what changes in place as long as `live` is open."""

    def __init__(self, console: Console, live: AbstractContextManager[Any] | None = None) -> None:
        self.live = live or nullcontext()
        self._console = console

    def noticed(self, line: str) -> None:
        """Say it."""
        self.line(line)

    def line(self, text: str) -> None:
        """Write a line that stays, however long it is."""
        self._console.print(text, markup=False, soft_wrap=True)

    @override
    def family_refused(self, family: str, difference: str) -> None:
        self.line(
            f"family {family!r} is not searched, as its stored trials cannot be compared with new ones: {difference} "
            "(rename the family, or give another --storage)"
        )

    @override
    def died(self, work: Work, reason: str) -> None:
        self.line(f"{work.name}: {reason}; it is queued again and resumes at its last checkpoint")

    @override
    def family_stopped(self, family: str, reason: str) -> None:
        self.line(f"{family}: stopped, as its first trials all failed for the same reason: {reason}")


class LineProgress(Display):
    """One line when a trial ends."""

    def __init__(self) -> None:
        super().__init__(console(stderr=True))
        self._decoding = False

    def decoded(self, done: int, total: int) -> None:
        """Say it once, unless the first call is the last one."""
        if not self._decoding and done < total:
            self._decoding = True
            self.line(f"decoding {total} images")

    def study_opened(self, searches: Mapping[str, FamilySearch]) -> None:
        """Say what is stored already."""
        for name, search in searches.items():
            if search.started > search.limit:
                self.line(f"{name}: {search.started} trials ended before, and {search.limit} are asked for")
            elif search.started:
                self.line(f"{name}: {search.started} of {plural(search.limit, 'trial')} ended before")

    def ended(self, work: Work, state: RunState) -> None:
        """Say how it ended."""
        self.line(trial_line(work, state))


class LiveProgress(Display):
    """A table of the families that changes in place, below a line for each trial that has ended."""

    def __init__(self) -> None:
        self._searches: Mapping[str, FamilySearch] = {}
        self._running: dict[JobKey, Work] = {}
        self._ended = 0
        self._started_at = time.monotonic()
        self._stage = STARTING
        terminal = console(stderr=True)
        # It asks for the table at once.
        live = Live(console=terminal, get_renderable=self._table, refresh_per_second=4, transient=True)
        super().__init__(terminal, live)

    def decoded(self, done: int, total: int) -> None:
        """Show how many images are decoded."""
        self._stage = f"decoding images: {done} of {total}" if done < total else STARTING

    def study_opened(self, searches: Mapping[str, FamilySearch]) -> None:
        """From here on there is something to show."""
        self._searches = searches
        self._started_at = time.monotonic()

    def started(self, work: Work) -> None:
        """Show it as running."""
        self._running[work.job.key] = work

    @override
    def died(self, work: Work, reason: str) -> None:
        self._running.pop(work.job.key, None)
        super().died(work, reason)

    def ended(self, work: Work, state: RunState) -> None:
        """Write a line that stays, above the table."""
        self._running.pop(work.job.key, None)
        self._ended += 1
        style = {"finished": "green", "failed": "red"}.get(state, "dim")
        self._console.print(Text(trial_line(work, state), style=style), no_wrap=True, overflow="ellipsis")

    def _table(self) -> Table | Text:
        if not self._searches:
            return Text(self._stage)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=self._time_left(), caption_justify="left")
        for column in ("family", "", "ended", "pruned", "failed", "best", "running"):
            is_number = column in {"ended", "pruned", "failed", "best"}
            table.add_column(column, justify="right" if is_number else "left", no_wrap=column != "running")
        for name, search in self._searches.items():
            done = search.started - search.running
            table.add_row(
                Text(name),
                ProgressBar(total=search.limit, completed=done, width=16),
                f"{done}/{search.limit}",
                str(search.ended["pruned"]),
                str(search.ended["failed"]),
                short(search.best_value),
                Text(self._running_text(name)),
            )
        return table

    def _running_text(self, family: str) -> str:
        trials = [work for work in self._running.values() if work.job.family == family]
        return ", ".join(f"{trial.job.trial}: epoch {len(trial.epochs) + 1}/{trial.job.epochs}" for trial in trials)

    def _time_left(self) -> str:
        missing = sum(max(search.limit - search.started, 0) + search.running for search in self._searches.values())
        if not self._ended or not missing:
            return ""
        seconds = (time.monotonic() - self._started_at) / self._ended * missing
        return f"about {duration(round(seconds))} left"


def trial_line(work: Work, state: RunState) -> str:
    """Return a trial's end in one line: family, number, state, best epoch, configuration."""
    best, reason = work.best_epoch, work.reason or ""
    result = f"{work.job.metric} {short(work.value)} in epoch {best.epoch}" if best else "no result"
    if state == "failed" or (reason.startswith(DIVERGED) and not best):
        result = reason
    elif reason.startswith(DIVERGED):
        result = f"{result}, {reason}"
    ended = f"{state} after {len(work.epochs)}" if state == "pruned" else state
    return f"{work.name}: {ended}, {result}, {configuration(work.values)}"


def bars() -> Progress:
    """Return progress bars on stderr that vanish in the end, and are not shown in a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Where there is no terminal rich would leave an empty line.
    return Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def decoding() -> Generator[Callable[[int, int], None]]:
    """A progress bar for images being decoded; it appears with the first one."""
    with bars() as shown:
        task = shown.add_task("decoding images", total=None, visible=False)
        yield lambda done, total: shown.update(task, completed=done, total=total, visible=True)
