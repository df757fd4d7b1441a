from .champion import champion_pictures as champion_pictures
from .drawings import family_drawings as family_drawings
from .drawings import study_drawings as study_drawings
from .images import misclassified as misclassified
from .images import png as png
