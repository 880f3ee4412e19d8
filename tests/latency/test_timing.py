import math

import pytest

from latency import Timing
from search_spaces import InputError


@pytest.mark.parametrize("median_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_time_is_a_positive_number(median_ms: float) -> None:
    with pytest.raises(InputError, match="must be a positive number of milliseconds"):
        Timing(median_ms)


def test_a_spread_is_given_whole_or_not_at_all() -> None:
    with pytest.raises(InputError, match="together, or all left empty"):
        Timing(1.0, 0.9, 1.1)


def test_the_median_lies_within_its_spread() -> None:
    with pytest.raises(InputError, match="p10 <= median <= p90"):
        Timing(1.0, 1.1, 1.2, 10)


def test_a_measurement_has_at_least_one_run() -> None:
    with pytest.raises(InputError, match="runs must be at least 1"):
        Timing(1.0, 0.9, 1.1, 0)
