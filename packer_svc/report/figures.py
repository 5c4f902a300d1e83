"""How figures are written."""

import math

NOTHING = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = ("bytes", "KiB", "MiB", "GiB")
_STEP = 1024
SMALL = 0.1
"""Ratios below it have two significant digits, others two decimals."""


def count(number: float | None) -> str:
    """A count, its thousands apart: ``1,234,567``."""
    return NOTHING if number is None else f"{number:,.0f}"


def share(fraction: float | None) -> str:
    """A fraction of [0, 1]: ``93.3 %``."""
    return NOTHING if fraction is None else f"{100 * fraction:.1f} %"


def power(exponent: int) -> str:
    """A power of ten: ``10⁻⁶``."""
    return f"10{str(exponent).translate(_RAISED)}"


def small(number: float | None) -> str:
    """A figure that may be very small: ``0.0016``, ``2.3·10⁻⁷``, ``10⁻⁴``."""
    if number is None or math.isnan(number):
        return NOTHING
    if math.isinf(number):
        return "∞"
    if number == 0 or 1e-3 <= abs(number) < 1e4:
        return f"{number:.3g}"
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    if mantissa == "1.0":
        return power(int(exponent))
    return f"{mantissa}·{power(int(exponent))}"


def milliseconds(seconds: float | None) -> str:
    """A time: ``12.3 ms``."""
    if seconds is None:
        return NOTHING
    time = 1000 * seconds
    return f"{time:.3g} ms" if time < 100 else f"{time:,.0f} ms"


def size(number: float | None) -> str:
    """Bytes in the unit that suits: ``12.4 MiB``."""
    if number is None:
        return NOTHING
    place = 0
    while number >= _STEP and place < len(_UNITS) - 1:
        number, place = number / _STEP, place + 1
    return f"{number:,.0f} {_UNITS[place]}" if place == 0 else f"{number:,.1f} {_UNITS[place]}"


def ratio(after: float | None, before: float | None) -> str:
    """New over reference: ``0.26``; nothing where one of them is not known."""
    if after is None or not before:
        return NOTHING
    return f"{after / before:.2f}" if after / before >= SMALL else f"{after / before:.2g}"


def plural(number: int, one: str, more: str = "") -> str:
    """A number of things: ``1 class``, ``2 classes``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def wilson(right: float, samples: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score, which keeps its level for few samples.

    Args:
        right: How many of the samples count.
        samples: How many there are, at least one.
    """
    z = 1.96
    middle = (right + z * z / 2) / (samples + z * z)
    share_ = right / samples
    half = z * math.sqrt(share_ * (1 - share_) / samples + z * z / (4 * samples**2))
    half /= 1 + z * z / samples
    return max(0.0, middle - half), min(1.0, middle + half)
