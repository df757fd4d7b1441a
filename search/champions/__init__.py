"""A trained network with all that is needed to use it, and where it is kept."""
