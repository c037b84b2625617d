from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import s2cmc_zarr


def run(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout


def test_numba_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, s2cmc_zarr.cli; print('numba' in sys.modules)"
    assert run(code, Path(s2cmc_zarr.__file__).parents[1]) == "False\n"


def test_without_a_folder_for_the_cache(tmp_path: Path) -> None:
    package = shutil.copytree(
        Path(s2cmc_zarr.__file__).parent, tmp_path / "s2cmc_zarr", ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "kernels" / "__pycache__").touch()  # a file, so that it cannot become a folder, whoever runs this
    nowhere = str(package / "kernels" / "__pycache__")
    code = (
        "import numpy, s2cmc_zarr.kernels.compiled_masks as masks; print(masks.__file__);"
        "print(masks.count_bytes(numpy.array([3, 3, 7], numpy.uint8))[[3, 7]])"
    )
    found = run(code, tmp_path, PYTHONPATH=str(tmp_path), HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR="")
    assert found == f"{package / 'kernels' / 'compiled_masks.py'}\n[2 1]\n"
