"""Initial weights of convolutions and linear layers."""

from torch import nn

from .hyperparameters import Init


def initialise(model: nn.Module, init: Init) -> None:
    """Draw the weights of all convolutions and linear layers anew, in place; others keep theirs.

    - `default`: PyTorch's own, which the layers come with: uniform within 1 / sqrt(fan_in), the biases as well.
    - `xavier`: uniform within sqrt(6 / (fan_in + fan_out)), biases 0 (X. Glorot, Y. Bengio, Understanding the
      difficulty of training deep feedforward neural networks, AISTATS 2010, equation 16).
    - `kaiming`: normal with variance 2 / fan_in, biases 0 (K. He, X. Zhang, S. Ren, J. Sun, Delving deep into
      rectifiers, ICCV 2015, arXiv:1502.01852, equation 10).
    """
    if init == "default":
        return
    for layer in model.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        if init == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
