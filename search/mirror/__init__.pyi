from .best_trial import BestTrial as BestTrial
from .live import LiveMirror as LiveMirror
from .reconciler import Mended as Mended
from .reconciler import Reconciler as Reconciler
from .reconciler import Remember as Remember
from .software import environment as environment
from .syncing import sync_study as sync_study
