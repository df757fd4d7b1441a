from .preparation import open_prepared as open_prepared
from .preparation import prepare as prepare
from .previews import augmentation_preview as augmentation_preview
from .previews import preview as preview
from .previews import save as save
from .statistics import DatasetStatistics as DatasetStatistics
from .statistics import dataset_statistics as dataset_statistics
