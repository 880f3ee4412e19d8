"""The Pareto front: fast and accurate points that no other point beats."""

from hypothesis import given
from hypothesis import strategies as st

from nas.pareto import pareto_front

POINTS = st.lists(st.tuples(st.integers(1, 6).map(float), st.integers(0, 5).map(lambda n: n / 5)), max_size=12)


def test_front_of_nothing_is_empty() -> None:
    assert pareto_front([]) == []


def test_front_leaves_out_beaten_points_and_rises_with_latency() -> None:
    # 20 ms at 0.6 is beaten by 15 ms at 0.7; 30 ms at 0.7 by 15 ms at 0.7; the others trade one for the other
    points = [(40.0, 0.9), (20.0, 0.6), (15.0, 0.7), (30.0, 0.7), (10.0, 0.5)]
    assert pareto_front(points) == [4, 2, 0]


def test_of_equal_latency_the_more_accurate_point_is_on_the_front() -> None:
    assert pareto_front([(10.0, 0.5), (10.0, 0.6)]) == [1]


def test_of_equal_accuracy_the_faster_point_is_on_the_front() -> None:
    assert pareto_front([(12.0, 0.5), (10.0, 0.5)]) == [1]


def test_of_equal_points_the_first_is_on_the_front() -> None:
    assert pareto_front([(20.0, 0.9), (10.0, 0.5), (10.0, 0.5)]) == [1, 0]


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(POINTS)
def test_front_holds_exactly_the_values_that_no_point_beats(points: list[tuple[float, float]]) -> None:
    expected = {point for point in points if not any(beats(other, point) for other in points)}
    front = [points[index] for index in pareto_front(points)]
    assert len(front) == len(expected)
    assert set(front) == expected
    assert front == sorted(front)
