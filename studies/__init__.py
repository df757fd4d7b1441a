"""Shipped studies, one file each with `STUDY` in it; `optrack studies` lists them."""

if __name__ != "optrack.studies":
    raise ImportError("import optrack.studies, not studies: a second copy of the package would be loaded")
