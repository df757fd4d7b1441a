"""Servers on this machine: MLflow's UI, optuna-dashboard, and the page that classifies dropped images."""
