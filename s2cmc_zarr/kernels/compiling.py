"""Compiling loops with Numba.

Numba takes longer to import than all else that the command line needs: the modules `compiled_*` are imported where a
scene is counted, not at the top of another module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[_Function], _Function]:
    """Compile a function when it is first called: without the global interpreter lock, and kept on disk.

    What it calls must be in the same file, since the cache notices no changes in another one. Where no folder for the
    cache can be written, each process compiles for itself.
    """

    def decorate(function: _Function) -> _Function:
        try:
            result: _Function = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            result = njit(nogil=True, **options)(function)
        return result

    return decorate
