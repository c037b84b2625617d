"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table


def print_table(
    frame: pd.DataFrame,
    title: str,
    *,
    percent: Sequence[str] = (),
    caption: str | None = None,
) -> None:
    """Print a DataFrame as a table; NaN as a dash, whole numbers with thousands separated.

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
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in frame.index.names:
        table.add_column(str(name or ""), no_wrap=True)
    for name in frame.columns:
        table.add_column(str(name), justify="right" if frame[name].dtype.kind in "iuf" else "left")
    for index, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        keys = index if isinstance(index, tuple) else (index,)
        cells = [_format(value, name in percent) for name, value in zip(frame.columns, row, strict=True)]
        table.add_row(*map(str, keys), *cells)
    console = Console()
    # A table that is squeezed hides figures; one that is too wide can be scrolled.
    natural = console.measure(table, options=console.options.update(width=10_000)).maximum
    console.width = max(console.width, natural)
    console.print()
    console.print(table, crop=False)


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
