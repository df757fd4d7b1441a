"""What a study looks like: figures and tables of a family and across families.

Importing this package does not import torch; `images.py`, whose pictures are made of a model's weights and outputs,
does where it needs it.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
