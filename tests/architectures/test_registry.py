"""Names of architectures."""

import subprocess
import sys

import pytest

from optrack.architectures import ARCHITECTURES, UnknownArchitectureError, architecture


def test_a_name_gives_its_class() -> None:
    from optrack.architectures.lenet import LeNet

    assert architecture("lenet") is LeNet


@pytest.mark.parametrize(
    ("name", "nearest"), [("lenett", "lenet"), ("LeNet", "lenet"), ("mpl", "mlp"), ("timmm:x", "timm:x")]
)
def test_an_unknown_name_is_refused_with_the_nearest_and_all_valid_names(name: str, nearest: str) -> None:
    with pytest.raises(UnknownArchitectureError) as caught:
        architecture(name)
    valid = ", ".join([*sorted(ARCHITECTURES), "torchvision:NAME", "timm:NAME", "FILE.py:CLASS"])
    assert str(caught.value) == f"unknown architecture {name!r} (did you mean {nearest!r}?); valid names: {valid}"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["", "two\nlines", "no module:system", "torchvision:", "timm"])
def test_a_name_like_no_other_is_refused_in_one_line_without_a_guess(name: str) -> None:
    with pytest.raises(UnknownArchitectureError) as caught:
        architecture(name)
    message = str(caught.value)
    assert message.startswith(f"unknown architecture {name!r}; valid names: ")
    assert "\n" not in message


def test_reading_the_names_does_not_import_torch() -> None:
    program = "import sys, optrack.architectures as a; a.ARCHITECTURES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_package_refuses_another_name() -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    import optrack.architectures as package

    spec = spec_from_file_location("architectures", package.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "architectures", module)
        patch.delitem(sys.modules, "architectures.registry", raising=False)
        with pytest.raises(ImportError, match=r"import optrack\.architectures, not architectures"):
            spec.loader.exec_module(module)
        patch.delitem(sys.modules, "architectures.registry", raising=False)
