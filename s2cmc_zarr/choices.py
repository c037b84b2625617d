"""What users choose by name or number, for those who say so without doing it: importing it costs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

OnDefect: TypeAlias = Literal["raise", "skip", "mark"]
PresetName: TypeAlias = Literal["balanced", "archive", "training"]
Classes: TypeAlias = Literal["cloud", "three"]
Method: TypeAlias = Literal["bca", "percentile"]
ShadowPolicy: TypeAlias = Literal["catalogue", "as_labelled", "marked_scenes"]

REPLICATES: Final = 2000
"""Efron and Tibshirani (1993, section 14.3) advise a thousand or more for intervals."""

MODEL_NAMES: Final = (
    "braaten",
    "fmask",
    "hollstein",
    "s2cloudless",
    "ukis-csmask",
    "annotator",
    "omnicloudmask",
    "sentle",
)
"""Built-in models, installed or not."""

TABLE_NAMES: Final = (
    "balance",
    "means",
    "quantiles",
    "normalisation",
    "separability",
    "cloud-cover",
    "tags",
    "co-occurrence",
    "representativeness",
)
"""Tables of statistics."""
DEFAULT_TABLES: Final = ("balance", "means")


def split_names(names: str | Iterable[str]) -> list[str]:
    """Give names as a list: those of an iterable, or of a text in which commas or white space separate them."""
    if isinstance(names, str):
        return names.replace(",", " ").split()
    # Of an array of xarray, what is iterated are arrays of one name.
    return [str(getattr(name, "values", name)) for name in names]
