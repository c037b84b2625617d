"""The tag table, `classification_tags.csv`: parsed strictly, its percentages recovered as whole pixels."""

from __future__ import annotations

import io
import re
from typing import Final

import numpy as np
import pandas as pd

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import CSV_COLUMNS, LABELS, TAGS

FILE_NAME: Final = "classification_tags.csv"
SIZE_LIMIT: Final = 16 * 2**20
PUBLISHED_MD5: Final = "6911e5a8915daf9a98638eb21ba4afd3"
"""Of the real table, whose scenes all have 1022 × 1022 pixels."""

PRODUCT_ID: Final = re.compile(
    r"(?P<platform>S2[A-Z])_MSIL1C_(?P<time>\d{8}T\d{6})_(?P<baseline>N\d{4})_R(?P<relative_orbit>\d{3})"
    r"_T(?P<tile>\d{2}[A-Z]{3})_\d{8}T\d{6}"
)
"""Identifier of a Sentinel-2 Level-1C product, 60 characters."""

PERCENT_COLUMNS: Final = ("clear_percent", "cloud_percent", "shadow_percent")


def read_tags(data: bytes, pixels: int) -> pd.DataFrame:
    """Parse the tag table.

    Parameters
    ----------
    data : bytes
        The CSV file.
    pixels : int
        Pixels of a scene, by which the percentages become counts.

    Returns
    -------
    pandas.DataFrame
        Indexed by `scene` in the file's order: the file's columns with their types (tags and `shadows_marked` bool),
        the fields of the product id (`platform`, `time`, `baseline`, `relative_orbit`, `tile`), the counts `clear`,
        `cloud` and `cloud_shadow`, and the independent `group`.

    Raises
    ------
    CatalogueError
        If columns, ids, tags or percentages are not as published; the message names the row.
    """
    try:
        text = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CatalogueError(f"{FILE_NAME}: not a CSV file ({str(error).strip()})") from None
    _check_columns(list(text.columns))
    if text.empty:
        raise CatalogueError(f"{FILE_NAME}: has no rows, expected one per scene")
    fields = text["scene"].str.extract(f"^{PRODUCT_ID.pattern}$")
    _check_rows(text, "scene", fields.notna().all(axis=1), "the 60-character id of a Sentinel-2 Level-1C product")
    _check_rows(text, "scene", ~text["scene"].duplicated(), "an id that occurs once")

    table = pd.DataFrame({"scene": text["scene"]})
    for column in ("index", "difficulty"):
        _check_rows(text, column, text[column].str.fullmatch(r"\d{1,9}"), "a whole number")
        table[column] = text[column].astype("int64")
    _check_rows(text, "difficulty", table["difficulty"].between(1, 5), "1 to 5")
    for column in ("annotator", "dataset"):
        _check_rows(text, column, text[column].str.fullmatch(r"\w+"), "a name")
        table[column] = text[column]
    for column in ("shadows_marked", *TAGS):
        _check_rows(text, column, text[column].isin(["0", "1"]), "0 or 1")
        table[column] = text[column] == "1"
    table = pd.concat([table, _recover_counts(text, pixels)], axis=1)

    for column in ("platform", "baseline", "tile"):
        table[column] = fields[column]
    table["relative_orbit"] = fields["relative_orbit"].astype("int64")
    time = pd.to_datetime(fields["time"], format="%Y%m%dT%H%M%S", errors="coerce")
    _check_rows(text, "scene", time.notna(), "an id with a valid sensing time")
    table["time"] = time.astype("datetime64[ns]")
    table["group"] = independent_groups(table)
    return table.set_index("scene")


def independent_groups(table: pd.DataFrame) -> pd.Series[int]:
    """Give a number to each group of scenes that share nothing with one another.

    Scenes belong together if they share a tile, or platform, date and relative orbit, directly or through others.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns `tile`, `platform`, `time` and `relative_orbit`.

    Returns
    -------
    pandas.Series of int
        0, 1, … in the order in which the groups first occur.
    """
    orbit = [table["platform"], table["time"].dt.date, table["relative_orbit"]]
    group = pd.Series(np.arange(len(table)), index=table.index)
    while True:
        joined = group.groupby(table["tile"]).transform("min")
        joined = joined.groupby(orbit).transform("min")
        if joined.equals(group):
            return pd.Series(pd.factorize(group)[0], index=table.index, dtype="int64")
        group = joined


def _recover_counts(text: pd.DataFrame, pixels: int) -> pd.DataFrame:
    columns: dict[str, pd.Series[float] | pd.Series[int]] = {}
    for column, label in zip(PERCENT_COLUMNS, LABELS, strict=True):
        # astype reads a number as Python does; to_numeric of pandas 2 is wrong in the last digit.
        written = text[column].str.fullmatch(r"\d+(\.\d+)?([eE][+-]?\d+)?")
        percent = text[column].where(written, "nan").astype("float64")
        _check_rows(text, column, percent.between(0, 100), "a number from 0 to 100")
        count = (percent * pixels / 100).round()
        # Neighbouring counts are 1e-4 percent apart at 1022 × 1022 pixels; float64 text keeps 1e-14.
        _check_rows(text, column, (100 * count / pixels - percent).abs() < 1e-9, f"100·n/{pixels} for a whole n")
        columns[column] = percent
        columns[label] = count.astype("int64")
    counts = pd.DataFrame(columns)
    total = counts[list(LABELS)].sum(axis=1)
    _check_rows(text, "scene", total == pixels, f"a row whose three percentages are {pixels:,} pixels in all")
    return counts


def _check_columns(columns: list[str]) -> None:
    if columns == list(CSV_COLUMNS):
        return
    if not set(columns) & set(CSV_COLUMNS):
        raise CatalogueError(
            f"{FILE_NAME}: found none of the {len(CSV_COLUMNS)} published columns, but {str(columns[0])[:80]!r}; "
            "expected a row of names separated by commas"
        )
    missing = [column for column in CSV_COLUMNS if column not in columns]
    unknown = [column for column in columns if column not in CSV_COLUMNS]
    detail = "; ".join(
        part
        for part in (
            f"missing: {', '.join(missing)}" if missing else "",
            f"unknown: {', '.join(unknown)}" if unknown else "",
        )
        if part
    )
    raise CatalogueError(
        f"{FILE_NAME}: expected the {len(CSV_COLUMNS)} published columns in their order; found {len(columns)} "
        f"({detail or 'in another order'})"
    )


def _check_rows(text: pd.DataFrame, column: str, valid: pd.Series[bool], expected: str) -> None:
    if valid.all():
        return
    row = int(np.flatnonzero(~valid.to_numpy(dtype=bool))[0])
    raise CatalogueError(
        f"{FILE_NAME}: row {row} has {column} {text[column].iloc[row]!r}, expected {expected} "
        f"({int((~valid).sum())} such rows)"
    )
