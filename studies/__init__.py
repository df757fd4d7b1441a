"""(to be written)."""

if __name__ != "optrack.studies":
    raise ImportError("import optrack.studies, not studies: a second copy of the package would be loaded")
