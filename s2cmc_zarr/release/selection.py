"""Choosing scenes: by id, by a file of ids, or by an expression over the tags and columns of the tag table."""

from __future__ import annotations

import ast
import functools
import operator
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr import storage
from s2cmc_zarr.errors import CatalogueError, suggestion
from s2cmc_zarr.schema import TAGS

_QUOTED: Final = r"\"[^\"]*\"|'[^']*'"
_TAG: Final = "|".join(re.escape(tag) for tag in sorted(TAGS, key=len, reverse=True))
_WORD: Final = re.compile(rf"(?P<quoted>{_QUOTED})|(?<![\w/`])`?(?P<tag>{_TAG})`?(?![\w/`])|(?P<sign>[&|])")
_ID: Final = re.compile(r"S2[A-Z]_MSIL1C_\w+")
"""Whatever is meant as the id of a scene."""
_PATH: Final = re.compile(r"(~|\.{0,2})/\S+|\S+\.(txt|csv|lst|list|ids|dat)")
"""What is meant as a path, whether or not it is there."""
_SHOWN: Final = 200
"""Characters of an expression that a message repeats."""

Choice: TypeAlias = str | os.PathLike[str] | Iterable[str] | Iterable[bool] | xr.DataArray
"""How scenes are chosen, see `select_scenes`."""

_Operations = dict[type[ast.AST], Callable[[Any, Any], Any]]
_COMPARISONS: Final[_Operations] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, values: value.isin(values),
    ast.NotIn: lambda value, values: ~value.isin(values),
}
_ARITHMETIC: Final[_Operations] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def select_scenes(table: pd.DataFrame, scenes: Choice) -> list[str]:
    """Choose scenes of a tag table.

    Parameters
    ----------
    table : pandas.DataFrame
        As `tags.read_tags` gives it.
    scenes : str, path, iterable of str, or bool array
        * Ids; as a string, separated by commas or white space.
        * The path of a file that holds them, in which what follows a ``#`` is a comment.
        * An expression such as ``snow/ice and not thick and difficulty >= 3`` over the tags and the columns
          ``difficulty``, ``annotator``, ``dataset``, ``shadows_marked``, ``clear_percent``, ``cloud_percent``,
          ``shadow_percent``, ``platform``, ``time``, ``tile``, ``relative_orbit``, ``baseline``, ``group`` and
          ``scene``.
        * A DataArray over `scene`, of ids or bool; or any bool array with a value for each scene of the table.

    Returns
    -------
    list of str
        Ids in the order of the table.

    Raises
    ------
    CatalogueError
        If an id is not in the table, a file or expression is none, or nothing is chosen.
    """
    if isinstance(scenes, os.PathLike):
        return _by_id(table, _read_ids(Path(scenes)))
    if not isinstance(scenes, str):
        return _by_id(table, _from_array(table, scenes))
    text = scenes.strip()
    words = _split(text)
    if words and all(_ID.fullmatch(word) for word in words):
        return _by_id(table, words)
    if _is_file(text) or _PATH.fullmatch(text):
        return _by_id(table, _read_ids(Path(text)))
    chosen = table.index[evaluate(table, text)].tolist()
    if not chosen:
        raise CatalogueError(f"no scene fits {text!r}")
    return chosen


def _from_array(table: pd.DataFrame, scenes: Any) -> list[str]:
    """Give the ids that an iterable has, or for which it is true."""
    names = table.index.to_numpy()
    if isinstance(scenes, xr.DataArray):
        if scenes.dims not in ((), ("scene",)):
            raise CatalogueError(f"the choice of scenes has the dims {scenes.dims}, expected ('scene',)")
        names = scenes["scene"].to_numpy() if "scene" in scenes.coords else names
        scenes = scenes.to_numpy()
    values = list(np.atleast_1d(scenes)) if isinstance(scenes, np.ndarray) else list(scenes)
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        if len(values) != len(names):
            raise CatalogueError(
                f"the choice of scenes has {len(values)} values, expected one for each of {len(names)}"
            )
        return [str(name) for name, chosen in zip(names, values, strict=True) if chosen]
    if other := [value for value in values if not isinstance(value, str)]:
        raise CatalogueError(f"the choice of scenes contains {other[0]}, expected ids, or true or false for each scene")
    return [str(value) for value in values]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than a path can be, or with what none can have
        return False


def _split(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _read_ids(path: Path) -> list[str]:
    if not path.is_file():
        raise CatalogueError(f"{path} is no file, expected one with ids of scenes{storage.surroundings(str(path))}")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    ids = []
    for number, line in enumerate(lines, 1):
        for word in _split(line.partition("#")[0]):
            if not _ID.fullmatch(word):
                shown = repr(word[:_SHOWN])
                raise CatalogueError(
                    f"{path} is not a list of scene ids, separated by commas or white space: line {number} has {shown}"
                )
            ids.append(word)
    return ids


def _by_id(table: pd.DataFrame, ids: list[str]) -> list[str]:
    wanted = set(ids)
    if unknown := sorted(wanted - set(table.index)):
        raise CatalogueError(
            f"{len(unknown)} of {len(wanted)} scenes are not in the source, the first is {unknown[0]}"
            + suggestion(unknown[0], table.index)
        )
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
    rows = table.reset_index()
    names = {_identifier(str(name)): column for name, column in rows.items()}
    columns = ", ".join(sorted(str(name) for name in table.columns if name not in TAGS))
    shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
    expected = f"expected an expression over tags and columns such as 'snow/ice and not thick'; columns: {columns}"
    try:
        chosen = _value(ast.parse(_WORD.sub(_as_python, text).strip(), mode="eval").body, names)
    except SyntaxError as error:
        raise CatalogueError(f"scenes {shown}: {error.msg}; {expected}") from None
    except NameError as error:
        raise CatalogueError(
            f"scenes {shown}: {error}; {expected}{suggestion(str(error.name), rows.columns)}"
        ) from None
    except (RecursionError, MemoryError):
        raise CatalogueError(f"scenes {shown}: is nested too deeply; {expected}") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise CatalogueError(f"scenes {shown}: {error}; {expected}") from None
    if not isinstance(chosen, pd.Series) or chosen.dtype != bool:
        raise CatalogueError(f"scenes {shown}: is not true or false of a scene; {expected}")
    return pd.Series(chosen.to_numpy(), index=table.index)


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _as_python(word: re.Match[str]) -> str:
    """Give a tag as an identifier, and ``&`` and ``|`` the precedence of ``and`` and ``or``, as pandas does."""
    if word["tag"]:
        return _identifier(word["tag"])
    return {"&": " and ", "|": " or "}.get(word[0], word[0])


def _value(node: ast.expr, names: dict[str, pd.Series[Any]]) -> Any:
    """Evaluate a node of an expression: names, constants, logic, comparisons and arithmetic, and nothing else."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return node.value
        case ast.Name():
            if node.id not in names:
                raise NameError(f"name {node.id!r} is not defined", name=node.id)
            return names[node.id]
        case ast.List() | ast.Tuple():
            return [_value(element, names) for element in node.elts]
        case ast.BoolOp():
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return functools.reduce(join, [_truth(_value(value, names)) for value in node.values])
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            return np.logical_not(_truth(_value(node.operand, names)))
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, names)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](*(_number(_value(side, names)) for side in (node.left, node.right)))
        case ast.Compare() if all(type(op) in _COMPARISONS for op in node.ops):
            sides = [_value(side, names) for side in (node.left, *node.comparators)]
            pairs = zip(node.ops, sides, sides[1:], strict=False)
            return functools.reduce(np.logical_and, [_COMPARISONS[type(op)](*pair) for op, *pair in pairs])
    raise ValueError(f"{ast.unparse(node)!r} is not part of such an expression")


def _truth(value: Any) -> Any:
    if isinstance(value, bool | np.bool_) or (isinstance(value, pd.Series) and value.dtype == bool):
        return value
    raise ValueError("what stands beside 'and', 'or' or 'not' is not true or false of a scene")


def _number(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, pd.Series) and value.dtype.kind in "if"):
        return value
    raise ValueError("arithmetic with what is no number")
