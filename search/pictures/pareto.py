"""Which of several choices nobody would leave for another one: those that are neither cheaper nor better elsewhere."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points for which no other one costs at most as much, is at least as good, and differs in one of these.

    Args:
        points: [N] cost (less is better) and worth (more is better).

    Returns:
        Their places in the sequence, by rising cost, and so by rising worth; equal points all stand on it.

    >>> pareto_front([(1, 0.5), (2, 0.4), (3, 0.9)])
    [0, 2]
    """
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if not front or points[place][1] > points[front[-1]][1] or points[place] == points[front[-1]]:
            front.append(place)
    return front
