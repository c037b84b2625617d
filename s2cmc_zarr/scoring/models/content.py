"""What a model is made of, as a digest that is the same in every process: values and code, without comments."""

from __future__ import annotations

import dis
import hashlib
import uuid
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from types import CodeType, EllipsisType, FunctionType, ModuleType
from typing import Any, Final

import numpy as np

_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes, EllipsisType)
_METHODS: Final = (FunctionType, property, staticmethod, classmethod, cached_property)
_NO_BEHAVIOUR: Final = frozenset({"__eq__", "__hash__", "__repr__", "__str__"})
"""Methods on which no prediction depends."""


def digest_of(thing: object, *parts: str) -> str:
    """Compute the SHA-256 over what an object, a class or a function is made of, and further strings.

    That are values (fields, defaults, what a closure holds) and code, as Python's bytecode: comments, docstrings, names
    and places in a file do not matter, the minor version of Python does. Of the module of the object, the functions,
    classes and constants (numbers, text, arrays, and collections of them) that the code uses are followed; other
    modules' are taken by name. What can be neither taken apart nor pickled is never the same twice.

    Parameters
    ----------
    thing : object
    *parts : str
        Whatever else matters.

    Returns
    -------
    str
        Hexadecimal.
    """
    root: Any = thing
    while isinstance(root, partial):
        root = root.func
    described = _Content(getattr(root, "__module__", None)).describe(thing)
    return hashlib.sha256("\0".join([described, *parts]).encode(errors="surrogatepass")).hexdigest()


class _Content:
    """Describes objects as text, and code of one module."""

    def __init__(self, module: str | None) -> None:
        self.module = module
        self.around: list[object] = []
        self.code: dict[object, int] = {}

    def describe(self, thing: Any) -> str:
        if type(thing) in _PLAIN:
            return repr(thing)
        if isinstance(thing, np.ndarray | np.generic) and not thing.dtype.hasobject:
            content = hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()
            return f"{thing.dtype.str} {thing.shape} {content}"
        if isinstance(thing, ModuleType):
            return thing.__name__
        if isinstance(thing, CodeType):
            return self._instructions(thing)
        if isinstance(thing, FunctionType | type):
            if thing.__module__ != self.module:
                return f"{thing.__module__}.{thing.__qualname__}"
            if thing in self.code:
                return f"code {self.code[thing]}"
            self.code[thing] = len(self.code)
            return self._join(_of_function(thing) if isinstance(thing, FunctionType) else _of_class(thing))
        for depth, outer in enumerate(self.around):
            if outer is thing:  # an object may hold itself
                return f"outer {depth}"
        self.around.append(thing)
        described = f"{type(thing).__qualname__}{self._parts(thing)}"
        self.around.pop()
        return described

    def _parts(self, thing: Any) -> str:
        if isinstance(thing, set | frozenset):
            return f"({', '.join(sorted(map(self.describe, thing)))})"
        if isinstance(thing, list | tuple | dict):
            return self._join(thing.items() if isinstance(thing, dict) else thing)
        if isinstance(thing, _METHODS):
            return self._join([_function_of(thing)])
        try:
            reduced = thing.__reduce_ex__(2)
        except Exception:  # noqa: BLE001  whatever is raised by what refuses to be pickled
            return uuid.uuid4().hex
        if isinstance(reduced, str):
            return reduced
        return self._join([list(part) if isinstance(part, Iterator) else part for part in reduced])

    def _instructions(self, code: CodeType) -> str:
        instructions = [(each.opname, each.argval) for each in dis.get_instructions(code)]
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        counts = code.co_argcount, code.co_posonlyargcount, code.co_flags
        return self._join([counts, arguments, code.co_exceptiontable, instructions])

    def _join(self, things: Iterable[Any]) -> str:
        return f"({', '.join(map(self.describe, things))})"


def _of_function(function: FunctionType) -> Iterator[Any]:
    """Code of a function, what it was given when it was made, and what it uses of its module."""
    yield from (function.__code__, function.__defaults__, function.__kwdefaults__, vars(function))
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # empty
            continue
    for name in sorted(_global_names(function.__code__)):
        value = getattr(function.__globals__.get(name), "py_func", function.__globals__.get(name))
        if isinstance(value, FunctionType | type | ModuleType) or _is_constant(value):
            yield name, value


def _global_names(code: CodeType) -> set[str]:
    """Names of its module that code reads and does not change."""
    instructions = list(dis.get_instructions(code))
    names = {each.argval for each in instructions if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    names -= {each.argval for each in instructions if each.opname == "STORE_GLOBAL"}
    return names.union(*(_global_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _of_class(of: type) -> Iterator[Any]:
    """What a class inherits from, its methods and its constants."""
    yield from of.__bases__
    for name, value in sorted(vars(of).items()):
        special = name.startswith("__") and name.endswith("__")
        if isinstance(value, _METHODS) and name not in _NO_BEHAVIOUR:
            yield name, _function_of(value)
        elif not special and _is_constant(value):
            yield name, value


def _function_of(method: Any) -> Any:
    if isinstance(method, property):
        return method.fget
    if isinstance(method, cached_property):
        return method.func
    return getattr(method, "__func__", method)


def _is_constant(value: Any) -> bool:
    """Tell constants; nothing and what is empty may be something that is filled later."""
    if isinstance(value, list | tuple | set | frozenset | dict):
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        return len(value) > 0 and all(each is None or _is_constant(each) for each in inside)
    return value is not None and (type(value) in _PLAIN or isinstance(value, np.ndarray | np.generic))
