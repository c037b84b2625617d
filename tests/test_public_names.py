from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import s2cmc_zarr

STUB = ast.parse(Path(s2cmc_zarr.__file__).with_suffix(".pyi").read_text())


def test_what_is_public_is_what_type_checkers_see() -> None:
    imported = [alias.name for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    (listed,) = (node.value for node in STUB.body if isinstance(node, ast.Assign))
    assert sorted([*imported, "__version__"]) == sorted(s2cmc_zarr.__all__) == sorted(ast.literal_eval(listed))
    assert set(s2cmc_zarr.__all__) <= set(dir(s2cmc_zarr))
    for name in imported:
        assert getattr(s2cmc_zarr, name).__name__.rpartition(".")[2] == name


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        s2cmc_zarr.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_alone_imports_nothing_else() -> None:
    code = "import sys, s2cmc_zarr; print(sorted(name for name in sys.modules if name.startswith('s2cmc_zarr')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['s2cmc_zarr']\n"
