"""Figures as text, aligned at the decimal point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.scoring.metrics import FEW_SCENES

UNKNOWN: Final = "–"
FEW_MARK: Final = "†"


class Estimate(NamedTuple):
    """A figure with the limits of its interval, which are NaN where there is none."""

    value: float
    lower: float
    upper: float


class Format(NamedTuple):
    """How figures are printed.

    Attributes
    ----------
    scale : float
        By which they are multiplied: 100 for percent.
    decimals : int
        Of those that are no whole numbers.
    sign : bool
        Whether there is a plus, too: for differences.
    least : bool
        Whether what would be rounded to 0 is said to be below the last decimal: for p-values.
    few : int
        Numbers of scenes below it are marked.
    """

    scale: float = 1
    decimals: int = 3
    sign: bool = False
    least: bool = False
    few: int = 0

    def text(self, value: float) -> str:
        """Print a figure; NaN as a dash, 0 without a sign."""
        if np.isnan(value):
            return UNKNOWN
        decimals = 0 if isinstance(value, int | np.integer) else self.decimals
        magnitude = f"{abs(self.scale * value):,.{decimals}f}"
        if not magnitude.strip("0.,"):
            return f"<{10**-decimals:.{decimals}f}" if self.least else magnitude
        return f"{'−' if value < 0 else '+' if self.sign else ''}{magnitude}"

    def marks(self, values: npt.ArrayLike) -> bool:
        """Say whether any of the numbers is marked as few."""
        return bool(self.few and (np.asarray(values) < self.few).any())


COEFFICIENT: Final = Format()
PERCENT: Final = Format(scale=100, decimals=1)
P_VALUE: Final = Format(least=True)
SCENES: Final = Format(few=FEW_SCENES)


def figures(values: Sequence[Any], form: Format) -> tuple[list[str], bool]:
    """Print the figures of a column: numbers, or estimates with their limits in brackets.

    Returns
    -------
    cells : list of str
        Of equal width.
    with_limits : bool
        Whether there are limits.
    """
    estimates = [value if isinstance(value, Estimate) else Estimate(value, np.nan, np.nan) for value in values]
    texts = _right([form.text(each.value) for each in estimates])
    if form.marks([each.value for each in estimates]):
        marks = [FEW_MARK if each.value < form.few else " " for each in estimates]
        texts = [text + mark for text, mark in zip(texts, marks, strict=True)]
    limits = [_limits(each, form) for each in estimates]
    if not any(lower for lower, _ in limits):
        return texts, False
    until = " to " if form.sign or any(each.lower < 0 for each in estimates) else "–"
    lowers, uppers = zip(*limits, strict=True)
    cells = [
        f"{text} {lower}{until if upper else ''}{upper}"
        for text, lower, upper in zip(texts, _right(lowers), uppers, strict=True)
    ]
    width = max(map(len, cells))
    return [cell.ljust(width) for cell in cells], True


def _limits(estimate: Estimate, form: Format) -> tuple[str, str]:
    """Print the limits of an interval with a bracket each, or nothing."""
    if np.isnan(estimate.lower) or np.isnan(estimate.upper):
        return "", ""
    return f"({form.text(estimate.lower)}", f"{form.text(estimate.upper)})"


def _right(texts: Sequence[str]) -> list[str]:
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]
