"""Names of classes and families where there is little room."""


def shortened(name: str, longest: int) -> str:
    """A name in at most so many characters; its end is kept, too, as that is often what tells names apart.

    >>> shortened("Dangerous curve to the left", 20)
    'Dangerous … the left'
    """
    if len(name) <= longest:
        return name
    end = (longest - 1) // 2
    return f"{name[: longest - 1 - end]}…{name[len(name) - end :]}"
