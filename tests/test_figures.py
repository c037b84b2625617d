from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2cmc_zarr.view.figures import COEFFICIENT, P_VALUE, PERCENT, SCENES, Estimate, Format, figures

NAN = float("nan")
SIGNED = PERCENT._replace(sign=True)


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (PERCENT, 0.5, "50.0"),
        (PERCENT, -0.0004, "0.0"),
        (PERCENT, -0.0006, "−0.1"),
        (PERCENT, NAN, "–"),
        (SIGNED, 0.051, "+5.1"),
        (SIGNED, 0.0001, "0.0"),
        (COEFFICIENT, -0.25, "−0.250"),
        (COEFFICIENT, 12345, "12,345"),
        (COEFFICIENT, np.int64(0), "0"),
        (P_VALUE, 0.0001, "<0.001"),
        (P_VALUE, 0.05, "0.050"),
        (Format(decimals=1), 1234.56, "1,234.6"),
    ],
)
def test_figures_as_text(form: Format, value: float, text: str) -> None:
    assert form.text(value) == text


@given(st.floats(-1000, 1000), st.integers(1, 4), st.booleans())
def test_text_is_the_rounded_value(value: float, decimals: int, sign: bool) -> None:
    text = Format(decimals=decimals, sign=sign).text(value)
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    assert Decimal(text.replace("−", "-").replace(",", "")) == rounded
    assert text.startswith("−") == (rounded < 0)
    assert text.startswith("+") == (sign and rounded > 0)


def test_estimates_are_aligned_and_limits_in_brackets() -> None:
    values = [
        Estimate(0.618, 0.504, 0.706),
        Estimate(1.0, NAN, NAN),
        Estimate(0.021, 0.0, 0.054),
        Estimate(NAN, NAN, NAN),
    ]
    cells, with_limits = figures(values, PERCENT)
    assert with_limits
    assert [cell.rstrip() for cell in cells] == [" 61.8 (50.4–70.6)", "100.0", "  2.1  (0.0–5.4)", "    –"]
    assert len({len(cell) for cell in cells}) == 1


def test_limits_that_can_be_negative_are_joined_by_a_word() -> None:
    cells, _ = figures([Estimate(-0.1, -0.222, 0.024), Estimate(0.05, 0.032, 0.07)], SIGNED)
    assert cells == ["−10.0 (−22.2 to +2.4)", " +5.0  (+3.2 to +7.0)"]


def test_a_column_without_limits_is_of_figures() -> None:
    assert figures([Estimate(0.5, NAN, NAN), 1.0], PERCENT) == ([" 50.0", "100.0"], False)


def test_few_scenes_are_marked() -> None:
    assert figures([40, 20, 7], SCENES)[0] == ["40 ", "20 ", " 7†"]
    assert figures([40, 20], SCENES)[0] == ["40", "20"]
