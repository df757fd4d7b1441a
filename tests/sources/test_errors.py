import errno
import pickle

import pytest

from optrack.architectures import PretrainedWeightsError
from optrack.datasets import DataError, NoTestPartError
from optrack.search import OptrackError, OwnSourceError, StudyError
from optrack.search import errors as tree
from optrack.sources import SourceChangedError, did_you_mean, is_disk_full, unknown


@pytest.mark.parametrize(
    "error", [DataError, NoTestPartError, OwnSourceError, PretrainedWeightsError, SourceChangedError, StudyError]
)
def test_every_error_of_bad_input_is_one_line_a_value_error_and_the_same_in_another_process(
    error: type[OptrackError],
) -> None:
    raised = pickle.loads(pickle.dumps(error("one  file\n  two\r\n\nthree")))  # noqa: S301 - pickled here
    assert type(raised) is error
    assert isinstance(raised, ValueError)
    assert str(raised) == "one  file two three"


def subclasses(error: type[Exception]) -> set[str]:
    return {error.__name__}.union(*(subclasses(each) for each in error.__subclasses__()))


def test_the_tree_of_errors_is_complete() -> None:
    lines = (tree.__doc__ or "").splitlines()
    drawn = {word for line in lines for word in line.split() if word.endswith("Error")}
    assert drawn == subclasses(OptrackError)


@pytest.mark.parametrize("typed", ["fashion_mnits", "Fashion-MNIST", "fashionmnist"])
def test_the_nearest_name_is_found_in_spite_of_case_and_hyphens(typed: str) -> None:
    assert did_you_mean(typed, ["digits", "fashion_mnist"]) == " (did you mean 'fashion_mnist'?)"
    assert did_you_mean(typed, ["digits", "Fashion-MNIST"]) == " (did you mean 'Fashion-MNIST'?)"


def test_of_very_many_names_the_nearest_five_are_given() -> None:
    message = unknown("architecture", "net7x", [f"net{number}" for number in range(41)])
    assert message.startswith("unknown architecture 'net7x'; nearest names: net7, ")
    assert message.count(",") == 4


def test_a_full_disk_is_known_by_whatever_error_it_was_raised_as() -> None:
    full, other = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EACCES, "Permission denied")
    caused, meanwhile = OptrackError("it cannot be written"), OptrackError("it cannot be written")
    caused.__cause__, meanwhile.__context__ = full, full
    by_text = RuntimeError("I/O error: No space left on device (os error 28)")
    assert all(map(is_disk_full, (full, caused, meanwhile, by_text)))
    assert not any(map(is_disk_full, (other, OptrackError("it cannot be written"))))
