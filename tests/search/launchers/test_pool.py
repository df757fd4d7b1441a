import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from optrack.search.launchers import EpochEnded, Event, JobEnded, JobFailed
from optrack.search.launchers.pool import Pool, Work
from optrack.search.study import EpochResult
from optrack.search.training import Job
from optrack.search.training.job import JobKey

MakeJob = Callable[..., Job]


class Scripted:
    """In the place of workers: says what it was told to say."""

    def __init__(self, *devices: str) -> None:
        self.devices = devices
        self.threads = 3
        self.submitted: list[Job] = []
        self.answers: list[tuple[JobKey, bool]] = []
        self.news: list[Event | None] = []
        self.closed = False

    def submit(self, job: Job) -> None:
        self.submitted.append(job)

    def next_event(self, timeout_seconds: float) -> Event | None:
        assert timeout_seconds == 0.2
        return self.news.pop(0)

    def answer(self, key: JobKey, *, go_on: bool) -> None:
        self.answers.append((key, go_on))

    def close(self) -> None:
        self.closed = True


def result_of(epoch: int, value: float, *, validates: bool = True) -> EpochResult:
    return EpochResult(
        epoch=epoch,
        train_loss=value,
        train_accuracy=0.5,
        val_loss=value if validates else None,
        val_accuracy=1 - value if validates else None,
        lr=0.1,
        seconds=0.5,
    )


def work_of(job: Job) -> Work:
    return Work(job=job, name=f"{job.family} {job.trial}", values={})


@pytest.fixture
def job(job_of: MakeJob) -> Job:
    return job_of()


def feed(job: Job, count: int) -> Callable[[str], Work | None]:
    """So many jobs, each on the device that it is given."""
    left = iter(range(count))

    def next_work(device: str) -> Work | None:
        trial = next(left, None)
        return None if trial is None else work_of(replace(job, trial=trial, device=device))

    return next_work


def test_jobs_fill_the_free_devices_and_a_released_one_makes_room(job: Job) -> None:
    launcher = Scripted("cuda:0", "cuda:1", "cuda:0")
    pool = Pool[Work](launcher)
    events = pool.events(feed(job, 5))
    launcher.news = [None, JobEnded(key=("f", 1, job.seed)), JobEnded(key=("f", 0, job.seed))]
    work, _ = next(events)
    assert [each.device for each in launcher.submitted] == ["cuda:0", "cuda:1", "cuda:0"]
    assert work.job.trial == 1
    pool.release(work)
    next(events)
    assert [each.device for each in launcher.submitted[3:]] == ["cuda:1"]


def test_it_ends_when_there_is_nothing_left_to_do(job: Job) -> None:
    launcher = Scripted("cpu")
    pool = Pool[Work](launcher)
    launcher.news = [JobEnded(key=("f", trial, job.seed)) for trial in range(2)]
    for work, event in pool.events(feed(job, 2)):
        assert work.job.key == event.key
        pool.release(work)
    assert [each.trial for each in launcher.submitted] == [0, 1]
    assert (pool.stop_requested, pool.timed_out, pool.close()) == (False, False, [])
    assert launcher.closed


def test_a_failed_job_is_handed_on_with_its_work(job: Job) -> None:
    launcher = Scripted("cpu")
    failed = JobFailed(key=("f", 0, job.seed), reason="no", details="no at all")
    launcher.news = [failed]
    [(work, event)] = [next(Pool[Work](launcher).events(feed(job, 1)))]
    assert (work.job.trial, event) == (0, failed)


def test_a_stop_starts_nothing_more_and_leaves_what_runs_to_be_put_away(job: Job) -> None:
    launcher = Scripted("cpu", "cpu")
    pool = Pool[Work](launcher)
    launcher.news = [EpochEnded(key=("f", 0, job.seed), result=result_of(1, 0.5))]
    events = pool.events(feed(job, 3))
    work, _ = next(events)
    pool.answer(work, go_on=True)
    pool.stop()
    assert list(events) == []
    assert launcher.answers == [(work.job.key, True)]
    assert [left.job.trial for left in pool.close()] == [0, 1]
    assert not pool.timed_out


def test_a_stop_while_jobs_are_made_submits_no_further_one(job: Job) -> None:
    launcher = Scripted("cpu", "cpu")
    pool = Pool[Work](launcher)

    def stopping(device: str) -> Work:
        pool.stop()
        return work_of(replace(job, device=device))

    launcher.news = [None]
    assert list(pool.events(stopping)) == []
    assert len(launcher.submitted) == 1


def test_the_time_can_be_over(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("optrack.search.launchers.pool.time", SimpleNamespace(monotonic=lambda: now[0]))
    launcher = Scripted("cpu")
    pool = Pool[Work](launcher)
    launcher.news = [EpochEnded(key=("f", 0, job.seed), result=result_of(epoch, 0.5)) for epoch in (1, 2, 3)]
    seen = 0
    for _ in pool.events(feed(job, 1), timeout_seconds=15):
        now[0] += 10
        seen += 1
    assert (seen, pool.timed_out) == (2, True)


@pytest.mark.parametrize(("metric", "value"), [("val_accuracy", 0.75), ("val_loss", 0.25)])
def test_the_value_of_a_job_is_its_best_epochs_and_never_nan(metric: Any, value: float, job: Job) -> None:
    work = work_of(replace(job, metric=metric))
    assert (work.value, work.best_epoch) == (None, None)
    for epoch, loss in enumerate([0.5, math.nan, 0.25, 0.25], 1):
        work.add(result_of(epoch, loss))
    assert work.value == value
    assert work.best_epoch == work.epochs[2]


def test_a_job_that_does_not_validate_has_no_value(job: Job) -> None:
    work = work_of(job)
    work.add(result_of(1, 0.5, validates=False))
    assert (work.value, work.divergence) == (None, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_divergence(bad: float, job: Job) -> None:
    work = work_of(job)
    work.add(result_of(1, 0.5))
    assert work.divergence is None
    work.add(result_of(2, bad))
    assert work.divergence == "diverged in epoch 2: the loss is not finite"


def test_a_job_with_a_reason_to_stop_is_cut_off_unless_it_diverged_with_something_to_keep(job: Job) -> None:
    cut_off: list[bool] = []
    for losses in ([0.5, 0.4], [math.nan], [0.5, math.nan]):
        work = work_of(job)
        for epoch, loss in enumerate(losses, 1):
            work.add(result_of(epoch, loss))
        assert not work.is_cut_off
        work.reason = "some reason"
        cut_off.append(work.is_cut_off)
    assert cut_off == [True, True, False]
