"""Search for the best configuration of image classifiers: studies, training, bookkeeping and the command line."""

if __name__ != "optrack.search":
    raise ImportError("import optrack.search, not search: a second copy of the package would be loaded")
