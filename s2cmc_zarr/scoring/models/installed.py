"""What is installed, found without importing it, and what is made once a process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Final, TypeVar, cast

from s2cmc_zarr.errors import CatalogueError

Made = TypeVar("Made")
_LOCK: Final = RLock()
_MADE: Final[dict[tuple[Hashable, ...], object]] = {}


def once(make: Callable[..., Made], *arguments: Hashable) -> Made:
    """Call a function once a process for the same arguments; all threads share what it gives.

    Models are pickled without what is made so: sessions, tables.
    """
    key = (make, *arguments)
    with _LOCK:
        if key not in _MADE:
            _MADE[key] = make(*arguments)
        return cast(Made, _MADE[key])


def is_installed(*packages: str) -> bool:
    """Tell whether packages can be imported, without importing them."""
    return all(find_spec(package) is not None for package in packages)


def require(model: str, *packages: str, hint: str = "pip install 's2cmc-zarr[models]'") -> None:
    """Refuse to make a model whose packages are not installed.

    Raises
    ------
    CatalogueError
        With the command that installs them.
    """
    if missing := [package for package in packages if not is_installed(package)]:
        raise CatalogueError(f"model {model!r} needs {', '.join(missing)}, which is not installed: {hint}")


def file_of(package: str, *parts: str) -> Path:
    """Give the path of a file inside a package, without importing it: some take a second to be imported.

    Raises
    ------
    CatalogueError
        If the package has no such file.
    """
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, *parts)).is_file():
            return path
    raise CatalogueError(f"the package {package} has no file {'/'.join(parts)}; is another version of it installed?")


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file once a process, hexadecimal."""
    return once(_sha256, path, path.stat().st_mtime_ns)


def _sha256(path: Path, modified: int) -> str:  # noqa: ARG001  part of the key
    return hashlib.sha256(path.read_bytes()).hexdigest()
