from collections.abc import Iterator

import pytest
import torch

from optrack.search.training.randomness import Randomness

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    torch.use_deterministic_algorithms(False)


def drawn(randomness: Randomness) -> list[float]:
    with randomness.active():
        return [float(number) for number in torch.rand(3)]


def test_a_stream_goes_on_where_it_was_whatever_is_drawn_outside() -> None:
    alone, beside = Randomness(1, CPU, 1), Randomness(1, CPU, 1)
    first = [drawn(alone) for _ in range(3)]
    second: list[list[float]] = []
    for number in range(3):
        torch.manual_seed(number)
        torch.rand(7)
        second.append(drawn(beside))
    assert first == second
    assert first[0] != first[1]


def test_two_streams_do_not_disturb_each_other() -> None:
    alone = Randomness(1, CPU, 1)
    expected = [drawn(alone), drawn(alone)]
    one, other = Randomness(1, CPU, 1), Randomness(2, CPU, 1)
    assert [drawn(one), drawn(other), drawn(one)] == [expected[0], drawn(Randomness(2, CPU, 1)), expected[1]]


def test_the_order_of_images_is_drawn_from_a_stream_of_its_own() -> None:
    one, other = Randomness(1, CPU, 1), Randomness(1, CPU, 1)
    drawn(one)
    assert torch.equal(torch.randperm(99, generator=one.order), torch.randperm(99, generator=other.order))


def test_another_seed_gives_other_numbers() -> None:
    one, other = Randomness(2**63 - 1, CPU, 1), Randomness(0, CPU, 1)
    assert drawn(one) != drawn(other)
    assert not torch.equal(torch.randperm(99, generator=one.order), torch.randperm(99, generator=other.order))


@pytest.mark.parametrize("deterministic", [False, True])
def test_inside_torch_is_the_trials_and_outside_the_callers_even_after_an_error(
    deterministic: bool,  # noqa: FBT001 - both values are tried
) -> None:
    torch.use_deterministic_algorithms(deterministic, warn_only=deterministic)
    torch.set_num_threads(2)
    state = torch.get_rng_state()
    randomness = Randomness(1, CPU, 1)
    assert torch.equal(torch.get_rng_state(), state)

    def use() -> None:
        with randomness.active():
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert torch.is_deterministic_algorithms_warn_only_enabled() is deterministic
    assert torch.equal(torch.get_rng_state(), state)
