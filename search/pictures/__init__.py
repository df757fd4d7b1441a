"""What a study looks like: figures and tables of a family and across families.

Importing this package does not import torch; `images.py`, whose pictures are made of a model's weights and outputs,
does where it needs it.
"""

from .champion import champion_pictures
from .drawings import family_drawings, study_drawings
from .images import misclassified, png

__all__ = ["champion_pictures", "family_drawings", "misclassified", "png", "study_drawings"]
