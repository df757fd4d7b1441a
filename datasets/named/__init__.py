"""The data sets that go by a name, one file each."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .cifar10 import CIFAR10
    from .cinic10 import CINIC10
    from .digits import Digits
    from .fashion_mnist import FASHION_MNIST
    from .gtsrb import GTSRB
    from .mnist import MNIST
    from .stl10 import STL10

__all__ = ["CIFAR10", "CINIC10", "FASHION_MNIST", "GTSRB", "MNIST", "STL10", "Digits"]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "cifar10": ["CIFAR10"],
            "cinic10": ["CINIC10"],
            "digits": ["Digits"],
            "fashion_mnist": ["FASHION_MNIST"],
            "gtsrb": ["GTSRB"],
            "mnist": ["MNIST"],
            "stl10": ["STL10"],
        },
    )
