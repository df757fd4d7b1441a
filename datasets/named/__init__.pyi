from .cifar10 import CIFAR10 as CIFAR10
from .cinic10 import CINIC10 as CINIC10
from .digits import Digits as Digits
from .fashion_mnist import FASHION_MNIST as FASHION_MNIST
from .gtsrb import GTSRB as GTSRB
from .mnist import MNIST as MNIST
from .stl10 import STL10 as STL10
