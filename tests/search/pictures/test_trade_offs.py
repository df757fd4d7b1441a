from hypothesis import given
from hypothesis import strategies as st

from optrack.search.pictures.trade_offs import pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 6).map(float), st.integers(0, 6).map(float)), max_size=12)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(points=POINTS)
def test_on_the_front_stand_exactly_the_points_that_no_other_dominates(points: list[tuple[float, float]]) -> None:
    undominated = [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    assert sorted(pareto_front(points)) == undominated


@given(points=POINTS)
def test_the_front_rises_with_cost(points: list[tuple[float, float]]) -> None:
    front = [points[place] for place in pareto_front(points)]
    assert front == sorted(front)
    assert [worth for _, worth in front] == sorted(worth for _, worth in front)
