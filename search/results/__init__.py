"""What is known about a study after its search: predictions, scores, the verdict."""
