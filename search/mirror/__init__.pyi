from .best_trial import BestTrial as BestTrial
from .live import LiveMirror as LiveMirror
from .mlflow_tracker import MlflowTracker as MlflowTracker
from .reconciler import Mended as Mended
from .reconciler import Reconciler as Reconciler
from .software import environment as environment
from .syncing import sync_study as sync_study
