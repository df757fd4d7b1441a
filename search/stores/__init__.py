"""What is recorded: Optuna's storage, MLflow's runs, and where both lie."""
