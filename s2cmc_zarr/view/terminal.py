"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from s2cmc_zarr.view.figures import FEW_MARK, Format, figures

_GAP: Final = "  "
_READABLE: Final = 100
"""Longer lines of a caption are hard to read."""


class _Column(NamedTuple):
    """Head and cells of equal width."""

    head: str
    cells: list[str]


def print_table(
    frame: pd.DataFrame,
    title: str,
    *,
    formats: Mapping[str, Format] | None = None,
    caption: str | None = None,
) -> None:
    """Print a DataFrame as a table; see `print_tables`."""
    print_tables({title: frame}, formats=formats, caption=caption)


def print_tables(
    frames: Mapping[str, pd.DataFrame],
    *,
    formats: Mapping[str, Format] | None = None,
    caption: str | None = None,
) -> None:
    """Print DataFrames as tables that share a caption.

    Figures are aligned at the decimal point, NaN is a dash. In a terminal that is too narrow for a table, its columns
    come in several; one that goes to a file or a pager is as wide as it is.

    Parameters
    ----------
    frames : mapping
        By title. The index becomes the first column or columns; in a terminal, what a row repeats there is left out.
    formats : mapping, optional
        How the figures of columns are printed, by name; others are printed as `Format` has it.
    caption : str, optional
        What a reader must know to read the tables. What the mark of few scenes means is added where it occurs.
    """
    console = Console(highlight=False)
    shown, marks = formats or {}, set()
    for title, frame in frames.items():
        console.print()
        console.print(Text(title, style="bold"))
        if frame.empty:
            console.print(Text("none", style="dim"))
            continue
        index = _index_columns(frame.index, sparse=console.is_terminal)
        columns = [_figure_column(frame[name], shown.get(name, Format())) for name in frame.columns]
        taken = sum(cell_len(column.head) + len(_GAP) for column in index)
        widths = [cell_len(column.head) + len(_GAP) for column in columns]
        available = console.width - taken + len(_GAP)
        for part, chosen in enumerate(_division(widths, available) if console.is_terminal else [slice(None)]):
            console.print(end="\n" if part else "")
            _print_columns([*index, *columns[chosen]], console)
        marks |= {form.few for name, form in shown.items() if name in frame and form.marks(frame[name])}
    lines = [caption] if caption else []
    lines += [f"{FEW_MARK} fewer than {few} scenes" for few in sorted(marks)]
    for line in lines:
        console.print(Text(line, style="dim italic"), width=min(console.width, _READABLE))


def _print_columns(columns: Sequence[_Column], console: Console) -> None:
    heads = _GAP.join(column.head for column in columns)
    console.print(Text(heads.rstrip(), style="bold"), soft_wrap=True)
    console.print("─" * cell_len(heads), soft_wrap=True)
    for row in zip(*(column.cells for column in columns), strict=True):
        console.print(Text(_GAP.join(row).rstrip()), soft_wrap=True)


def _index_columns(index: pd.Index, *, sparse: bool) -> list[_Column]:
    rows = [tuple(map(str, key)) if isinstance(key, tuple) else (str(key),) for key in index]
    columns = []
    for level, name in enumerate(index.names):
        # The last level is what tells rows apart; it is not left out.
        repeated = [
            sparse and level < index.nlevels - 1 and before is not None and before[: level + 1] == row[: level + 1]
            for before, row in zip([None, *rows[:-1]], rows, strict=True)
        ]
        cells = ["" if again else row[level] for again, row in zip(repeated, rows, strict=True)]
        columns.append(_padded("" if name is None else str(name), cells, right=False))
    return columns


def _figure_column(series: pd.Series[Any], form: Format) -> _Column:
    values = series.tolist()
    if all(isinstance(value, str) for value in values):
        return _padded(str(series.name), [str(value) for value in values], right=False)
    cells, with_limits = figures(values, form)
    return _padded(str(series.name), cells, right=not with_limits)


def _padded(head: str, cells: Sequence[str], *, right: bool) -> _Column:
    width = max(map(cell_len, [head, *cells]))

    def pad(text: str) -> str:
        space = " " * (width - cell_len(text))
        return space + text if right else text + space

    return _Column(pad(head), [pad(cell) for cell in cells])


def _division(widths: Sequence[int], available: int) -> list[slice]:
    """Divide columns into as few parts as fit, and these as evenly as they can be; a column too wide is alone."""

    def within(limit: int) -> list[slice]:
        parts, start, used = [], 0, 0
        for position, width in enumerate(widths):
            if position > start and used + width > limit:
                parts.append(slice(start, position))
                start, used = position, 0
            used += width
        return [*parts, slice(start, len(widths))]

    greedy = within(available)
    limits = sorted({int(np.sum(widths[start:stop])) for start, stop in combinations(range(len(widths) + 1), 2)})
    divisions = (within(limit) for limit in limits if limit <= available)
    return next((parts for parts in divisions if len(parts) == len(greedy)), greedy)
