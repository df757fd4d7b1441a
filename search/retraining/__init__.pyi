from .retraining import retrain_study as retrain_study
