"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_table(
    frame: pd.DataFrame,
    title: str,
    *,
    percent: Sequence[str] = (),
    caption: str | None = None,
) -> None:
    """Print a DataFrame as a table; NaN as a dash, whole numbers with thousands separated.

    In a terminal that is too narrow for it, the columns come in several tables.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its index becomes the first column or columns.
    title : str
    percent : sequence of str
        Columns of fractions that are printed as percent.
    caption : str, optional
        What a reader must know to read the table.
    """
    console = Console()

    def natural_width(part: pd.DataFrame) -> int:
        table = _table(part, percent)
        return console.measure(table, options=console.options.update(width=10_000)).maximum

    parts = _fitting(frame, natural_width, console.width) if console.is_terminal else [frame]
    # A table that is squeezed hides figures; one that goes to a file or a pager may be as wide as it is.
    console.width = max(console.width, *map(natural_width, parts))
    console.print()
    for number, part in enumerate(parts):
        table = _table(part, percent)
        table.title = title if number == 0 else None
        console.print(table, crop=False)
    if caption:
        console.print(f"[dim italic]{escape(caption)}[/]", highlight=False)


def _table(frame: pd.DataFrame, percent: Sequence[str]) -> Table:
    table = Table(title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in frame.index.names:
        table.add_column(str(name or ""), no_wrap=True)
    for name in frame.columns:
        table.add_column(str(name), justify="right" if frame[name].dtype.kind in "iuf" else "left")
    for index, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        keys = index if isinstance(index, tuple) else (index,)
        cells = [_format(value, name in percent) for name, value in zip(frame.columns, row, strict=True)]
        table.add_row(*map(str, keys), *cells)
    return table


def _fitting(frame: pd.DataFrame, width: Callable[[pd.DataFrame], int], available: int) -> list[pd.DataFrame]:
    """Divide a table by columns into parts that fit into a terminal, each with the whole index."""
    parts = []
    start = 0
    while start < len(frame.columns):
        stop = start + 1
        while stop < len(frame.columns) and width(frame.iloc[:, start : stop + 1]) <= available:
            stop += 1
        parts.append(frame.iloc[:, start:stop])
        start = stop
    return parts


def _format(value: object, percent: bool) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else ""
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return "–"
        return f"{100 * value:.1f} %" if percent else f"{value:.4g}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return str(value)
