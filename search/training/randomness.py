"""A trial's own random numbers and torch settings, isolated from whatever else runs in the process."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch


class Randomness:
    """The random streams of one training: torch's for initialisation and dropout, two more for order and augmentation.

    Args:
        seed: in [0, 2^63).
        device: whose global generator dropout draws from.
        threads: of torch on the CPU.
    """

    def __init__(self, seed: int, device: torch.device, threads: int) -> None:
        self._device = device
        self._threads = threads
        self.order = torch.Generator().manual_seed(seed)
        # A separate stream, so that the augmentation does not change the order of the images.
        self.augmentation = torch.Generator().manual_seed(seed ^ 1)
        with self._callers_kept():
            torch.manual_seed(seed)
            self._states = self._read()

    @contextmanager
    def active(self) -> Generator[None]:
        """Use the trial's global torch state in the block, and restore the caller's after it."""
        with self._callers_kept():
            torch.set_rng_state(self._states[0])
            if len(self._states) > 1:
                torch.cuda.set_rng_state(self._states[1], self._device)
            yield
            self._states = self._read()

    def state(self) -> list[torch.Tensor]:
        """Return the states of all streams."""
        return [self.order.get_state(), self.augmentation.get_state(), *self._states]

    def load_state(self, states: Sequence[torch.Tensor]) -> None:
        """Go on with streams whose states were returned by `state` on a device of the same kind."""
        order, augmentation, *self._states = states
        self.order.set_state(order)
        self.augmentation.set_state(augmentation)

    def _read(self) -> list[torch.Tensor]:
        if self._device.type == "cuda":
            return [torch.get_rng_state(), torch.cuda.get_rng_state(self._device)]
        return [torch.get_rng_state()]

    @contextmanager
    def _callers_kept(self) -> Generator[None]:
        threads = torch.get_num_threads()
        deterministic = torch.are_deterministic_algorithms_enabled()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        if threads != self._threads:
            torch.set_num_threads(self._threads)
        # Some CUDA kernels have no deterministic form; a search must not fail because of it.
        torch.use_deterministic_algorithms(True, warn_only=self._device.type != "cpu")
        try:
            with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
                yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warns)
            if threads != self._threads:
                torch.set_num_threads(threads)
