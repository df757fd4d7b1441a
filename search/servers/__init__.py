"""What listens on a port: MLflow's UI, optuna-dashboard, the page that answers dropped images."""
