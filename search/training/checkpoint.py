"""Checkpoints: what a training resumes from after its process died, with the same bits as if nothing had happened."""

import io
import statistics
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch

from .job import Job

WRITING_SHARE = 0.005
"""Share of the training time that writing checkpoints may take."""

USUAL_SECONDS = 0.003
USUAL_BYTES_PER_SECOND = 600e6
"""What the first checkpoint is assumed to take: so long for any, and longer the larger it is."""

SUM_BYTES = 4


class Checkpoint:
    """The checkpoint of one training: read once, then written as often as it is worth.

    The longer checkpoints take to write, the more time passes between them, so that what is lost when a
    worker dies is the epoch under way and at most 200 times what a checkpoint takes to write.

    Args:
        job: the training; nothing is read or written where it names no file.
    """

    def __init__(self, job: Job) -> None:
        self._file = job.checkpoint
        # All that decides on the bits: on a GPU as far as its kernels repeat.
        self._digest = job.digest(
            validates=job.validates,
            threads=job.threads,
            device=torch.device(job.device).type,
            torch=str(torch.__version__),
        )
        self._costs = list[float]()
        self._trained = 0.0

    def read(self) -> Mapping[str, Any] | None:
        """Return the state that was written last; None if there is none, or it is damaged or of another training."""
        if self._file is None:
            return None
        with suppress(Exception):  # whatever is wrong with it, the training can start over
            content = self._file.read_bytes()
            if zlib.crc32(content[SUM_BYTES:]) == int.from_bytes(content[:SUM_BYTES], "big"):
                found = torch.load(io.BytesIO(content[SUM_BYTES:]), map_location="cpu", weights_only=True)
                return found["state"] if found["digest"] == self._digest else None
        return None

    def write(self, state: Callable[[], Mapping[str, Any]], *, trained_seconds: float) -> None:
        """Write the state in place of the last one, unless that is too early.

        Args:
            state: returns what `read` is to return: numbers, strings and tensors in dictionaries and lists.
            trained_seconds: how long the epoch took that is over.
        """
        self._trained += trained_seconds
        if self._file is None:
            return
        with suppress(Exception):  # a full disk, or a network with an odd state: it is trained without a checkpoint
            self._costs = self._costs or [USUAL_SECONDS + _bytes(state()) / USUAL_BYTES_PER_SECOND]
            # The low one: the first write of a process takes longer than those that follow.
            if self._trained * WRITING_SHARE < statistics.median_low(self._costs):
                return
            started = time.perf_counter()
            self._trained = 0.0
            try:
                replace_file(self._file, {"digest": self._digest, "state": state()})
            finally:
                self._costs.append(time.perf_counter() - started)


def _bytes(state: object) -> int:
    """Return the size of all tensors in dictionaries and lists."""
    match state:
        case torch.Tensor():
            return state.nbytes
        case dict():
            return sum(map(_bytes, cast("dict[object, object]", state).values()))
        case list() | tuple():
            return sum(map(_bytes, cast("list[object]", state)))
        case _:
            return 0


def replace_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is never half there, and whose sum tells whether its bytes are still what they were."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(zlib.crc32(buffer.getbuffer()).to_bytes(SUM_BYTES, "big"))
        file.write(buffer.getbuffer())
    unfinished.replace(path)
