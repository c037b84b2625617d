"""What users choose by name or number, for those who say so without doing it: importing it costs nothing."""

from __future__ import annotations

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
