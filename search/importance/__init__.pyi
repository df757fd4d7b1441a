from .drawings import figures as figures
from .importance import Importances as Importances
from .importance import importances as importances
from .page import write_page as write_page
from .resampling import CONFIDENCE as CONFIDENCE
