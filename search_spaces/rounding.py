"""Rounding of channel counts."""

from fractions import Fraction


def round_channels(channels: float | Fraction, multiple: int = 8) -> int:
    """Round a width to a multiple, never below 90 % of it.

    The rule of the MobileNet family (Howard et al. 2017, public code): the nearest multiple, at least one, and one
    more where rounding down would lose over a tenth. With ``multiple=1`` fractions are cut off, as in MnasNet's code.
    """
    if multiple == 1:
        return max(1, int(channels))
    rounded = max(multiple, int(channels + Fraction(multiple, 2)) // multiple * multiple)
    return rounded + multiple if 10 * rounded < 9 * channels else rounded
