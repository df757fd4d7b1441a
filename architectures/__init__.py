"""(to be written)."""

if __name__ != "optrack.architectures":
    raise ImportError("import optrack.architectures, not architectures: a second copy of the package would be loaded")
