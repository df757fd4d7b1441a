"""Multilayer perceptron."""

from torch import nn

from optrack.architectures.mlp import MLP


def test_each_hidden_layer_is_linear_then_batch_norm_then_relu_then_dropout() -> None:
    model = MLP((1, 8, 8), 10, depth=2, width=20, width_factor=0.5, batch_norm=True, bn_momentum=0.3, dropout=0.25)
    names = [name for name, _ in model.layers.named_children()]
    assert names == ["flatten", "fc1", "bn1", "relu1", "dropout1", "fc2", "bn2", "relu2", "dropout2", "fc3"]
    batch_norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [(module.num_features, module.momentum) for module in batch_norms] == [(20, 0.3), (10, 0.3)]
    assert [module.p for module in dropouts] == [0.25, 0.25]


def test_without_batch_norm_and_dropout_neither_is_there() -> None:
    names = [name for name, _ in MLP((1, 8, 8), 10, depth=1).layers.named_children()]
    assert names == ["flatten", "fc1", "relu1", "fc2"]


def test_widths_may_repeat_before_they_shrink() -> None:
    model = MLP((1, 8, 8), 10, depth=5, width=512, width_factor=0.5, repeats=2)
    widths = [module.out_features for module in model.layers if isinstance(module, nn.Linear)]
    assert widths == [512, 512, 256, 256, 128, 10]
