"""Which hyperparameters matter, and Optuna's figures."""
