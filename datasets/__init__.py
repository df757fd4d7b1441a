"""(to be written)."""

if __name__ != "optrack.datasets":
    raise ImportError("import optrack.datasets, not datasets: a second copy of the package would be loaded")
