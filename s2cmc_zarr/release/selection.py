"""Choosing scenes: by id, by a file of ids, or by an expression over the tags and columns of the tag table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pandas as pd

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.tags import PRODUCT_ID
from s2cmc_zarr.schema import TAGS

_QUOTED: Final = r"\"[^\"]*\"|'[^']*'"
_TAG: Final = "|".join(re.escape(tag) for tag in sorted(TAGS, key=len, reverse=True))
_TAG_OR_QUOTED: Final = re.compile(rf"({_QUOTED})|(?<![\w/`])({_TAG})(?![\w/`])")
# pandas evaluates more than comparisons: calls, attributes and variables of the caller have no place here.
_FORBIDDEN: Final = re.compile(r"@|__|\w\s*\.\s*[A-Za-z_]|\b(?!and\b|or\b|not\b|in\b)[A-Za-z_]\w*\s*\(|[`\]\)]\s*\(")


def select_scenes(table: pd.DataFrame, scenes: str | Iterable[str]) -> list[str]:
    """Choose scenes of a tag table.

    Parameters
    ----------
    table : pandas.DataFrame
        As `tags.read_tags` gives it.
    scenes : str or iterable of str
        Ids; or, as a string, ids separated by commas or white space, the path of a file that holds them, or an
        expression such as ``snow/ice and not thick and difficulty >= 3`` over the tags and the columns ``difficulty``,
        ``annotator``, ``dataset``, ``shadows_marked``, ``clear_percent``, ``cloud_percent``, ``shadow_percent``,
        ``platform``, ``time``, ``tile``, ``relative_orbit``, ``baseline``, ``group`` and ``scene``.

    Returns
    -------
    list of str
        Ids in the order of the table.

    Raises
    ------
    CatalogueError
        If an id is not in the table, the expression is not one, or nothing is chosen.
    """
    if not isinstance(scenes, str):
        return _by_id(table, list(scenes))
    text = scenes.strip()
    if (ids := _split_ids(text)) is not None:
        return _by_id(table, ids)
    if len(text) < 4096 and "\n" not in text and Path(text).is_file():
        ids = _split_ids(Path(text).read_text(encoding="utf-8"))
        if ids is None:
            raise CatalogueError(f"{text} is not a list of scene ids, separated by commas or white space")
        return _by_id(table, ids)
    chosen = table.index[evaluate(table, text)].tolist()
    if not chosen:
        raise CatalogueError(f"no scene fits {text!r}")
    return chosen


def _split_ids(text: str) -> list[str] | None:
    ids = [word for word in re.split(r"[\s,]+", text) if word]
    return ids if ids and all(PRODUCT_ID.fullmatch(word) for word in ids) else None


def _by_id(table: pd.DataFrame, ids: list[str]) -> list[str]:
    wanted = set(ids)
    if unknown := sorted(wanted - set(table.index)):
        raise CatalogueError(f"{len(unknown)} of {len(wanted)} scenes are not in the source, the first is {unknown[0]}")
    if not wanted:
        raise CatalogueError("no scenes are named")
    return [scene for scene in table.index if scene in wanted]


def evaluate(table: pd.DataFrame, text: str) -> pd.Series[bool]:
    """Say for which rows of a table an expression over tags and columns is true; see `select_scenes`.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by `scene`, one column for each name that may be used.
    text : str

    Returns
    -------
    pandas.Series of bool
        Indexed as the table.

    Raises
    ------
    CatalogueError
        If it is no such expression, or is not true or false of a scene.
    """
    quoted = _TAG_OR_QUOTED.sub(lambda match: match[1] or f"`{match[2]}`", text)
    columns = ", ".join(str(name) for name in table.columns if name not in TAGS)
    expected = f"expected an expression over tags and columns such as 'snow/ice and not thick'; columns: {columns}"
    if not text or _FORBIDDEN.search(re.sub(_QUOTED, "''", quoted)):
        raise CatalogueError(f"scenes {text!r}: {expected}")
    try:
        chosen = table.reset_index().eval(quoted, engine="python", local_dict={}, global_dict={})
    except (SyntaxError, NameError, TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise CatalogueError(f"scenes {text!r}: {error}; {expected}") from None
    if not isinstance(chosen, pd.Series) or chosen.dtype != bool:
        raise CatalogueError(f"scenes {text!r}: is not true or false of a scene; {expected}")
    return pd.Series(chosen.to_numpy(), index=table.index)
