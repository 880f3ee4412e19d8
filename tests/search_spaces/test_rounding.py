"""Channel rounding: the MobileNet family's rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.rounding import round_channels


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [
        (16, 16),
        (18, 24),  # 18 -> 16 would lose more than a tenth: 16 < 16.2
        (36, 40),  # a half goes up
        (20, 24),
        (35, 32),  # 32 >= 31.5
        (11.2, 16),  # 8 < 10.08
        (5.6, 8),
        (1, 8),
    ],
)
def test_widths_go_to_multiples_of_8_and_lose_no_tenth(channels: float, rounded: int) -> None:
    assert round_channels(channels) == rounded


def test_with_a_multiple_of_one_fractions_are_cut_off() -> None:
    assert [round_channels(value, 1) for value in (0.5, 2.5, 6.99, 7)] == [1, 2, 6, 7]


@given(st.integers(1, 4000), st.sampled_from([4, 8, 16]))
def test_rounded_widths_are_multiples_near_the_width(channels: int, multiple: int) -> None:
    rounded = round_channels(channels, multiple)
    assert rounded % multiple == 0
    assert rounded >= 0.9 * channels
    assert rounded <= channels + multiple
