"""What every registered architecture keeps to; one that is entered in the registry is covered here without an edit."""

# torch leaves parts of the types of manual_seed, backward and step open.
# pyright: reportUnknownMemberType=false

import inspect
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import annotated_types
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from optrack.architectures import ARCHITECTURES, architecture

CLASSES = 4
TRAINING_SETTINGS = {
    *("lr", "batch_size", "weight_decay", "label_smoothing", "gradient_clip", "epochs", "patience", "seed"),
    *("optimizer", "momentum", "nesterov", "beta1", "beta2"),
    *("schedule", "warmup_epochs", "decay_epochs", "decay_factor", "decay_patience"),
}


def hyperparameters_of(name: str) -> dict[str, tuple[Any, Any]]:
    """Read the hyperparameters of an architecture from its signature: name to annotation and default."""
    constructor = architecture(name).__init__
    hints = get_type_hints(constructor, include_extras=True)
    parameters = inspect.signature(constructor).parameters.values()
    return {
        parameter.name: (hints.get(parameter.name), parameter.default)
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def variants_of(name: str) -> list[dict[str, Any]]:
    """Give the defaults, then each switch turned over, each choice and each bounded number's ends, one at a time.

    Not `pretrained`, which changes nothing until weights are loaded; a test of its own says so.
    """
    variants: list[dict[str, Any]] = [{}]
    for key, (annotation, default) in hyperparameters_of(name).items():
        if key == "pretrained":
            continue
        variants += [{key: value} for value in values_to_try(annotation, default) if value != default]
    return variants


def values_to_try(annotation: Any, default: Any) -> list[Any]:
    if annotation is bool:
        return [not default]
    if is_choice(annotation):
        return list(get_args(annotation))
    kind, *constraints = get_args(annotation)
    lowest = [constraint.ge for constraint in constraints if isinstance(constraint, annotated_types.Ge)]
    highest = [constraint.le for constraint in constraints if isinstance(constraint, annotated_types.Le)]
    return [*lowest, *highest] if kind is int and lowest and highest else []


def small(name: str) -> dict[str, Any]:
    """Give narrow layers, for speed, where an architecture lets its widths be chosen."""
    return {
        key: min(default, 32)
        for key, (_, default) in hyperparameters_of(name).items()
        if key.startswith(("filters", "width")) and isinstance(default, int)
    }


def is_choice(annotation: object) -> bool:
    return get_origin(annotation) is Literal


def accepts(constraint: object, value: Any) -> bool:
    match constraint:
        case annotated_types.Ge(bound):
            return value >= bound
        case annotated_types.Gt(bound):
            return value > bound
        case annotated_types.Le(bound):
            return value <= bound
        case annotated_types.Lt(bound):
            return value < bound
        case _:
            raise AssertionError(f"an unknown kind of range: {constraint!r}")


def build(name: str, size: int, channels: int = 3, seed: int = 0, **hyperparameters: Any) -> nn.Module:
    torch.manual_seed(seed)
    return architecture(name)((channels, size, size), CLASSES, **small(name) | hyperparameters)


def minimum_size(name: str) -> int:
    size = vars(architecture(name))["minimum_image_size"]
    assert isinstance(size, int)
    return size


def random_images(count: int, size: int, channels: int = 3) -> Tensor:
    """Draw images, float32 [count, channels, size, size], the same ones each time."""
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(1))


every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
VARIANTS = [(name, variant) for name in ARCHITECTURES for variant in variants_of(name)]


def each_of(variants: list[tuple[str, dict[str, Any]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("name", "variant"), [pytest.param(*variant, id="-".join(map(str, variant))) for variant in variants]
    )


every_variant = each_of(VARIANTS)
# What is fixed at random need not tell images apart.
every_variant_that_learns = each_of(
    [(name, variant) for name, variant in VARIANTS if "trainable_blocks" not in variant]
)


@every_architecture
def test_the_constructor_takes_shape_and_classes_then_keywords_alone(name: str) -> None:
    _, *parameters = inspect.signature(architecture(name).__init__).parameters.values()
    shape, classes, *others = parameters
    assert (shape.name, classes.name) == ("input_shape", "classes")
    assert {parameter.kind for parameter in others} <= {inspect.Parameter.KEYWORD_ONLY}
    hints = get_type_hints(architecture(name).__init__)
    assert hints["input_shape"] == tuple[int, int, int]
    assert hints["classes"] is int


@every_architecture
def test_every_hyperparameter_has_a_type_a_range_and_a_default_within(name: str) -> None:
    for key, (annotation, default) in hyperparameters_of(name).items():
        if is_choice(annotation):
            assert default in get_args(annotation), key
            assert all(isinstance(value, str) for value in get_args(annotation)), key
        elif annotation is bool:
            assert isinstance(default, bool), key
        else:
            kind, *constraints = get_args(annotation)
            assert kind in {int, float}, key
            assert type(default) is kind, key
            assert constraints, f"{key} has no range"
            assert all(accepts(constraint, default) for constraint in constraints), key


@every_architecture
def test_no_hyperparameter_has_the_name_of_a_training_setting(name: str) -> None:
    assert not TRAINING_SETTINGS & hyperparameters_of(name).keys()


@every_architecture
def test_the_docstring_explains_each_hyperparameter_and_names_a_source(name: str) -> None:
    text = vars(architecture(name))["__doc__"]
    assert "Source: " in text
    assert all(f"    {key}: " in text for key in hyperparameters_of(name))


@every_architecture
def test_the_class_declares_its_smallest_image(name: str) -> None:
    assert minimum_size(name) >= 1
    assert get_origin(get_type_hints(architecture(name))["minimum_image_size"]) is ClassVar


@every_architecture
@pytest.mark.parametrize("sides", [(-1, -1), (-1, 0), (0, -1)])
def test_a_smaller_image_is_refused(name: str, sides: tuple[int, int]) -> None:
    minimum = minimum_size(name)
    height, width = minimum + sides[0], minimum + sides[1]
    message = f"^{name} needs images of at least {minimum} x {minimum} pixels, but got {height} x {width}$"
    with pytest.raises(ValueError, match=message):
        architecture(name)((3, height, width), CLASSES)


@every_variant
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("above_minimum", [0, 1, 5])
def test_images_give_finite_logits(name: str, variant: dict[str, Any], channels: int, above_minimum: int) -> None:
    size = minimum_size(name) + above_minimum
    logits = build(name, size, channels, **variant)(random_images(5, size, channels))
    assert logits.shape == (5, CLASSES)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@every_architecture
def test_an_image_need_not_be_square(name: str) -> None:
    height, width = minimum_size(name) + 2, minimum_size(name) + 7
    model = architecture(name)((3, height, width), CLASSES, **small(name))
    assert model(torch.zeros(2, 3, height, width)).shape == (2, CLASSES)


@every_variant
def test_every_trainable_parameter_gets_a_gradient_and_no_other_does(name: str, variant: dict[str, Any]) -> None:
    size = minimum_size(name) + 5
    model = build(name, size, **variant)
    logits = model(random_images(8, size))
    functional.cross_entropy(logits, torch.arange(8) % CLASSES).backward()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, key
        else:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            # A bias in front of batch norm has a gradient of zero.
            assert parameter.ndim == 1 or parameter.grad.any(), key


@every_variant
def test_one_image_alone_gives_the_logits_that_it_gives_in_a_batch(name: str, variant: dict[str, Any]) -> None:
    size = minimum_size(name) + 5
    model = build(name, size, **variant).eval()
    images = random_images(3, size)
    torch.testing.assert_close(torch.cat([model(image[None]) for image in images]), model(images))


@every_architecture
def test_memory_in_channels_last_order_changes_nothing(name: str) -> None:
    size = minimum_size(name) + 5
    model = build(name, size).eval()
    images = random_images(3, size)
    expected = model(images)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (torch's stubs lack this overload)
    torch.testing.assert_close(model(images.to(memory_format=torch.channels_last)), expected)


@every_variant
def test_a_state_dict_carries_the_whole_model(name: str, variant: dict[str, Any]) -> None:
    size = minimum_size(name) + 5
    images = random_images(4, size)
    model = build(name, size, **variant)
    model(images)  # moves running statistics
    other = build(name, size, seed=99, **variant)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(images), model.eval()(images))


@every_variant
def test_the_same_seed_gives_the_same_model_and_the_same_logits(name: str, variant: dict[str, Any]) -> None:
    size = minimum_size(name) + 5
    images = random_images(4, size)
    first, second = (build(name, size, **variant)(images) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "pretrained" in hyperparameters_of(name)])
def test_pretrained_weights_change_nothing_before_they_are_loaded(name: str) -> None:
    plain, pretrained = (build(name, 64, pretrained=asked).state_dict() for asked in (False, True))
    assert plain.keys() == pretrained.keys()
    assert all(torch.equal(tensor, pretrained[key]) for key, tensor in plain.items())


@every_variant
def test_it_can_be_built_without_memory(name: str, variant: dict[str, Any]) -> None:
    size = minimum_size(name) + 5
    with torch.device("meta"):
        model = build(name, size, **variant)
        logits = model(torch.empty(2, 3, size, size))
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    assert logits.shape == (2, CLASSES)


@every_variant_that_learns
def test_it_learns_one_small_batch_by_heart(name: str, variant: dict[str, Any]) -> None:
    size = max(minimum_size(name), 16)
    without_dropout = {"dropout": 0.0} if "dropout" in hyperparameters_of(name) else {}
    model = build(name, size, **without_dropout, **variant)
    images, labels = random_images(16, size), torch.arange(16) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(200):
        logits = model(images)
        if (logits.argmax(dim=1) == labels).all():
            return
        optimizer.zero_grad()
        functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    pytest.fail("200 steps of Adam did not reach a training accuracy of 100 %")
