"""Choosing scenes: by id, by a file of ids, or by an expression over the tags and columns of the tag table."""

from __future__ import annotations

import ast
import functools
import operator
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.tags import PRODUCT_ID
from s2cmc_zarr.schema import TAGS

_QUOTED: Final = r"\"[^\"]*\"|'[^']*'"
_TAG: Final = "|".join(re.escape(tag) for tag in sorted(TAGS, key=len, reverse=True))
_WORD: Final = re.compile(rf"(?P<quoted>{_QUOTED})|(?<![\w/`])`?(?P<tag>{_TAG})`?(?![\w/`])|(?P<sign>[&|])")
_SHOWN: Final = 200
"""Characters of an expression that a message repeats."""

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
    if _is_file(text):
        ids = _split_ids(Path(text).read_text(encoding="utf-8", errors="replace"))
        if ids is None:
            raise CatalogueError(f"{text} is not a list of scene ids, separated by commas or white space")
        return _by_id(table, ids)
    chosen = table.index[evaluate(table, text)].tolist()
    if not chosen:
        raise CatalogueError(f"no scene fits {text!r}")
    return chosen


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a path can be
        return False


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
    names = {_identifier(str(name)): column for name, column in table.reset_index().items()}
    columns = ", ".join(str(name) for name in table.columns if name not in TAGS)
    shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
    expected = f"expected an expression over tags and columns such as 'snow/ice and not thick'; columns: {columns}"
    try:
        chosen = _value(ast.parse(_WORD.sub(_as_python, text).strip(), mode="eval").body, names)
    except SyntaxError as error:
        raise CatalogueError(f"scenes {shown}: {error.msg}; {expected}") from None
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
                raise ValueError(f"name {node.id!r} is not defined")
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
