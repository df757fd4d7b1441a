"""Types and ranges of the hyperparameters that several architectures share.

An architecture annotates its keyword-only parameters with these; whoever proposes values reads type and range from its
signature, so there is no second schema. A hyperparameter has the same name, meaning and range in all architectures, and
never the name of a training setting such as `lr` or `momentum`.
"""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

Dropout = Annotated[float, Ge(0), Lt(1)]
"""Probability of zeroing an activation in training; 0 leaves the layer out (Srivastava et al. 2014, JMLR 15)."""

BatchNormMomentum = Annotated[float, Gt(0), Le(1)]
"""Weight of the newest batch in the running mean and variance of batch norm (PyTorch's convention, default 0.1)."""

Depth = Annotated[int, Ge(1)]
"""Number of hidden layers, or of blocks of convolutions."""

HeadDepth = Annotated[int, Ge(0)]
"""Number of hidden linear layers behind the convolutions; with 0 the features go straight to the logits."""

Repeats = Annotated[int, Ge(1)]
"""Number of hidden layers in a row that have the same width."""

Width = Annotated[int, Ge(1)]
"""Number of units of a hidden linear layer."""

WidthFactor = Annotated[float, Gt(0), Le(1)]
"""Width of a hidden layer relative to the one before it."""

Filters = Annotated[int, Ge(1)]
"""Number of output channels of a convolution."""

KernelSize = Annotated[int, Ge(1)]
"""Side of a convolution's square window, in pixels of its input."""

Init = Literal["default", "xavier", "kaiming"]
"""How the weights are drawn at the start, see `initialisation.py`."""
