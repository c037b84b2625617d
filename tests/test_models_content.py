from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from s2cmc_zarr.scoring.models import load_model
from s2cmc_zarr.scoring.models.content import digest_of

FUNCTION = """
import functools
from dataclasses import dataclass, field
import numpy as np
from s2cmc_zarr import score
from s2cmc_zarr.scoring.models import as_model

LIMIT = 0.3
BANDS = {"green": 2, "others": [1, 3]}
_cache = {}

def brightness(reflectance):
    return reflectance[BANDS["green"]]

def white(reflectance, bands=(1, 2, 3)):
    _cache["last"] = 0
    names = {"a", "b", "c", "d"}
    return (brightness(reflectance) > LIMIT) & (np.min([reflectance[band] for band in bands], axis=0) > 0.1)

@dataclass(frozen=True)
class White:
    limit: float = 0.3
    bands: tuple = (1, 2, 3)
    names: frozenset = frozenset({"a", "b", "c", "d"})
    weights: np.ndarray = field(default_factory=lambda: np.arange(3.0))

    @property
    def lowest(self):
        return min(self.bands)

    def __call__(self, reflectance):
        return reflectance[self.lowest] > self.limit

def made(limit):
    return lambda reflectance: brightness(reflectance) > limit

digests = [as_model(model).digest for model in (
    white, White(), functools.partial(white, bands=(2,)), made(0.3), White(names=frozenset("abc")).__call__
)]
"""


def digests(folder: Path, source: str, *, seed: str = "0", main: bool = False) -> list[str]:
    """Digests as another process computes them, of a module or of the script itself."""
    (folder / "mine.py").write_text(source + "\nif __name__ == '__main__': print(*digests)\n")
    command = [sys.executable, "mine.py"] if main else [sys.executable, "-c", "import mine; print(*mine.digests)"]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(folder)])
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return found.stdout.split()


def test_digests_do_not_depend_on_process_comments_and_places(tmp_path: Path) -> None:
    expected = digests(tmp_path, FUNCTION)
    assert len(set(expected)) == 5
    commented = FUNCTION.replace("def white", "# A comment.\n\n\ndef white").replace(
        "    _cache", '    """A docstring."""\n\n    _cache', 1
    )
    assert "A docstring" in commented
    for main in (False, True):
        assert digests(tmp_path, commented, seed="1", main=main) == expected


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("> 0.1", "> 0.2", [0, 2]),
        ("LIMIT = 0.3", "LIMIT = 0.4", [0, 2]),
        ('"green": 2', '"green": 3', [0, 2, 3]),
        ("bands=(1, 2, 3)", "bands=(1, 2)", [0, 2]),
        ("bands=(2,)", "bands=(3,)", [2]),
        ("limit: float = 0.3", "limit: float = 0.4", [1, 4]),
        ("arange(3.0)", "zeros(3)", [1, 4]),
        ("min(self.bands)", "max(self.bands)", [1, 4]),
        ("made(0.3)", "made(0.4)", [3]),
        ("brightness(reflectance) > limit", "brightness(reflectance) < limit", [3]),
    ],
)
def test_digests_follow_code_and_values(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, changed: list[int]
) -> None:
    found = []
    for source in (FUNCTION, FUNCTION.replace(old, new)):
        module = ModuleType("mine")
        monkeypatch.setitem(sys.modules, "mine", module)
        exec(source, vars(module))  # noqa: S102
        found.append(vars(module)["digests"])
    assert [number for number, (before, after) in enumerate(zip(*found, strict=True)) if before != after] == changed


def test_objects_that_hold_themselves_or_cannot_be_pickled() -> None:
    loop: list[object] = [1]
    loop.append(loop)
    assert digest_of(loop) == digest_of(loop)
    held = threading.Lock()
    assert digest_of(functools.partial(print, held)) != digest_of(functools.partial(print, held))
    assert digest_of(np.sum) == digest_of(np.sum) != digest_of(np.add)


def test_digests_of_built_in_models_do_not_change_by_use() -> None:
    reflectance = np.random.default_rng(0).random((13, 8, 8), dtype=np.float32)
    for name in ("braaten", "hollstein", "fmask", "braaten swir=0.2"):
        model = load_model(name)
        before = model.digest
        model(reflectance)
        assert model.digest == load_model(name).digest == before
    assert load_model("braaten").digest != load_model("braaten swir=0.2").digest != load_model("fmask").digest
