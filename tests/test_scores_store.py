from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, WrapperStore

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS, UNLABELLED
from s2cmc_zarr.scoring.kept_model import KeptModel, marks_of
from s2cmc_zarr.scoring.kept_scores import check_or_make, open_scores, write_scenes
from s2cmc_zarr.scoring.models import BraatenCohenYang, Prediction, as_model
from s2cmc_zarr.scoring.scene_scores import OUTPUTS, SceneTruth
from s2cmc_zarr.scoring.scores import score
from s2cmc_zarr.scoring.scores_store import claim_scores
from synthetic import synthetic
from test_probabilities import Brightness

Pixels = npt.NDArray[np.float32]


class Counting:
    """A model that notes each call; its digest does not depend on the notes."""

    labels = LABELS
    variables = ("reflectance",)

    def __init__(self, name: str, calls: list[str], digest: str = "1" * 64) -> None:
        self.name, self.calls, self.digest = name, calls, digest

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        return np.where(reflectance[2] > 0.3, np.uint8(1), np.uint8(0))

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Any:
        self.calls.append(f"{self.name} {scene}")
        return Brightness().predict_scene(scene, **arrays)


def digested(scenes: int = 4, size: int = 16) -> xr.Dataset:
    """Scenes with digests, as those of a store."""
    ds = synthetic(scenes, size)
    names = np.arange(scenes).astype(str)
    return ds.assign_coords(
        reflectance_sha256=("scene", np.char.add("r", names)), mask_sha256=("scene", np.char.add("m", names))
    )


@pytest.fixture
def url(tmp_path: Path) -> Path:
    return tmp_path / "scores.zarr"


def test_what_is_kept_is_what_was_computed(url: Path) -> None:
    ds = digested()
    expected = score(ds, ["braaten", Brightness()]).compute()
    lazy = score(ds, ["braaten", Brightness()], store=url)
    assert lazy["confusion"].chunks
    xr.testing.assert_identical(lazy.compute(), expected)
    again = score(ds, ["braaten", Brightness()], store=url)
    assert not again["confusion"].chunks
    xr.testing.assert_identical(again.compute(), expected)
    opened = open_scores(url, ["braaten", "brightness"])
    xr.testing.assert_identical(opened.drop_attrs(), expected[list(opened.variables)].drop_attrs())
    for name in ("tags", "difficulty", "shadows_marked", "group"):
        assert name in opened.coords


def test_only_what_is_new_is_computed(url: Path) -> None:
    ds, calls = digested(), list[str]()
    one, other = Counting("one", calls), Counting("other", calls)
    with dask.config.set(scheduler="synchronous"):
        score(ds.isel(scene=[2, 0]), [one], store=url).compute()
        assert sorted(calls) == ["one scene_00", "one scene_02"]
        calls.clear()
        found = score(ds, [one, other], store=url)
        assert not calls
        found = found.compute()
        assert sorted(calls) == ["one scene_01", "one scene_03", *(f"other scene_0{number}" for number in range(4))]
        calls.clear()
        xr.testing.assert_identical(score(ds, [one, other], store=url).compute(), found)
        assert not calls
    xr.testing.assert_identical(found, score(ds, [one, other]).compute())


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.assign_coords(mask_sha256=("scene", ["m0", "new", "m2", "m3"])),
        lambda ds: ds.assign_coords(reflectance_sha256=("scene", ["r0", "new", "r2", "r3"])),
        lambda ds: ds.assign_coords(packing_error=("scene", [0.0, 1e-5, 0.0, 0.0])),
    ],
    ids=["mask", "reflectance", "packing"],
)
def test_changed_pixels_are_scored_again(url: Path, change: Any) -> None:
    ds, calls = digested().assign_coords(packing_error=("scene", np.zeros(4))), list[str]()
    model = Counting("one", calls)
    score(ds, model, store=url).compute()
    calls.clear()
    score(change(ds), model, store=url).compute()
    assert calls == ["one scene_01"]


def test_parts_of_scenes_and_other_parameters_are_not_taken_for_the_same(url: Path) -> None:
    ds, calls = digested(2), list[str]()
    score(ds, Counting("one", calls), store=url).compute()
    calls.clear()
    part = score(ds.isel(x=slice(8)), Counting("one", calls), store=url).compute()
    assert (part["confusion"].sum(["truth", "prediction"]) == 16 * 8).all()
    assert len(calls) == 2
    score(ds, Counting("one", calls, "2" * 64), store=url).compute()
    assert len(calls) == 4
    assert (open_scores(url, ["one 22222222"])["confusion"].sum(["truth", "prediction"]) == 16 * 16).all()


def test_what_one_model_needs_is_nothing_to_others(url: Path) -> None:
    ds, calls = digested(), list[str]()
    second = ds["mask"].copy(data=np.roll(ds["mask"].values, 1, axis=1))
    ds = ds.assign(alt_mask=second).assign_coords(alt_mask_sha256=("scene", ["a0", "", "a2", "a3"]))
    score(ds, [Counting("one", calls), "annotator"], store=url).compute()
    calls.clear()
    found = score(ds, [Counting("one", calls)], store=url).compute()
    assert not calls
    changed = ds.assign_coords(alt_mask_sha256=("scene", ["a0", "a1", "a2", "a3"]))
    both = score(changed, [Counting("one", calls), "annotator"], store=url).compute()
    assert not calls
    np.testing.assert_array_equal(both["confusion"].sel(model=["one"]), found["confusion"])


def test_predictions_are_kept_if_asked_for(url: Path) -> None:
    ds, calls = digested(), list[str]()
    model = Counting("one", calls)
    score(ds, model, store=url).compute()
    kept = score(ds, model, store=url, keep_predictions=True).compute()
    assert len(calls) == 8
    score(ds, model, store=url, keep_predictions=True).compute()
    score(ds, model, store=url).compute()
    assert len(calls) == 8
    (path,) = (url / "models").glob("one-*")
    masks = np.asarray(zarr.open_array(path / "prediction", mode="r")[...])
    reflectance = ds["reflectance"].values
    seen = np.isfinite(reflectance).all(axis=1) & (reflectance != 0).any(axis=1)
    np.testing.assert_array_equal(masks, np.where(seen, reflectance[:, 2] > 0.3, UNLABELLED))
    clouds = kept["confusion"].sel(prediction="cloud").sum("truth")
    np.testing.assert_array_equal((masks == 1).sum(axis=(1, 2)), clouds)


def test_processes_of_a_cluster_write(url: Path) -> None:
    ds = digested()
    expected = score(ds, "braaten").compute()
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    )
    with cluster, distributed.Client(cluster):
        xr.testing.assert_identical(score(ds, "braaten", store=url).compute(), expected)
    xr.testing.assert_identical(score(ds, "braaten", store=url).compute(), expected)


DYING = """
import os, sys
sys.path[:0] = {paths!r}
import dask
from test_scores_store import Counting, digested
from s2cmc_zarr.scoring.scores import score
from s2cmc_zarr.scoring.scores_store import claim_scores

class Dying(Counting):
    def predict_scene(self, scene, **arrays):
        if len(self.calls) == 2:
            os.kill(os.getpid(), 9)
        return super().predict_scene(scene, **arrays)

with dask.config.set(scheduler="synchronous"):
    score(digested(), Dying("one", []), store={url!r}).compute()
"""


def test_a_killed_run_goes_on(url: Path) -> None:
    tests = Path(__file__).parent
    script = DYING.format(paths=[str(tests), str(tests.parent)], url=str(url))
    died = subprocess.run([sys.executable, "-c", script], check=False, env=os.environ, capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    calls: list[str] = []
    found = score(digested(), Counting("one", calls), store=url).compute()
    assert len(calls) == 2
    xr.testing.assert_identical(found, score(digested(), Counting("one", [])).compute())


def test_a_scene_that_was_half_written_is_scored_again(url: Path) -> None:
    ds, calls = digested(), list[str]()
    model = Counting("one", calls)
    score(ds, model, store=url).compute()
    (counted,) = (url / "models").glob("one-*/counted/c/2/0")
    counted.unlink()
    calls.clear()
    score(ds, model, store=url).compute()
    assert calls == ["one scene_02"]


class DeadError(Exception):
    """The end of a process, as far as a store can tell."""


class Dying(WrapperStore[Store]):
    """A store whose process dies instead of the writing after so many."""

    left = 1000

    async def set(self, key: str, value: Buffer) -> None:
        self.count()
        await self._store.set(key, value)

    async def delete(self, key: str) -> None:
        self.count()
        await self._store.delete(key)

    def count(self) -> None:
        if self.left == 0:
            raise DeadError
        self.left -= 1


@pytest.mark.parametrize("keep", [False, True])
def test_wherever_writing_ends_counts_are_of_the_pixels_that_they_are_marked_with(tmp_path: Path, keep: bool) -> None:
    size = (16, 16)
    model, first = Counting("one", []), digested(1)
    second = first.assign_coords(reflectance_sha256=("scene", ["new"]))
    masks = [np.zeros(size, np.uint8), np.ones(size, np.uint8)]
    truth = SceneTruth.of(masks[0], np.ones((13, *size), np.float32))
    counts = [truth.count("one", Prediction(mask, mask.astype(np.float32))) for mask in masks]
    ended = []
    for steps in itertools.count():
        store = LocalStore(tmp_path / str(steps))
        check_or_make(store, "")
        before = KeptModel.prepare(store, model, marks_of(model, first), size)
        before.write("scene_00", counts[0], masks[0])
        dying = Dying(store)
        writer = KeptModel.prepare(dying, model, marks_of(model, second), size if keep else None)
        assert not writer.done
        dying.left = steps
        try:
            writer.write("scene_00", counts[1], masks[1])
        except DeadError:
            ended.append(steps)
        else:
            assert KeptModel.prepare(store, model, marks_of(model, second), size if keep else None).done
        for number, ds in enumerate((first, second)):
            found = KeptModel.prepare(store, model, marks_of(model, ds), None)
            for name in OUTPUTS if found.done else ():
                np.testing.assert_array_equal(found.read("scene_00")[name], counts[number][name])
            if (found := KeptModel.prepare(store, model, marks_of(model, ds), size)).done:
                np.testing.assert_array_equal(found.arrays["prediction"][0], masks[number])
        if ended[-1:] != [steps]:
            break
    assert len(ended) == 2 + len(OUTPUTS) + 1 + 2 * keep


def test_wherever_preparing_ends_the_store_can_be_read_and_scored_into(tmp_path: Path) -> None:
    model, more = Counting("one", []), digested(3)
    score(more.isel(scene=[0, 1]), model, store=tmp_path / "first").compute()
    expected = open_scores(tmp_path / "first")
    for steps in itertools.count(step=3):
        url = shutil.copytree(tmp_path / "first", tmp_path / str(steps))
        dying = Dying(LocalStore(url))
        dying.left = steps
        try:
            write_scenes(dying, more)
            for other in (model, Counting("other", [])):
                KeptModel.prepare(dying, other, marks_of(other, more), (16, 16))
        except DeadError:
            xr.testing.assert_identical(open_scores(url, ["one"]), expected)
            if steps % 15 == 0:
                found = score(more, [model, Counting("other", [])], store=url).compute()
                xr.testing.assert_equal(open_scores(url)["confusion"], found["confusion"])
            continue
        break
    assert steps > 30


def test_refusals(url: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueError, match="the scenes have no reflectance_sha256, mask_sha256, by which kept scores"
    ):
        score(synthetic(), "braaten", store=url)
    with pytest.raises(CatalogueError, match="predictions are kept in a store of scores"):
        score(digested(), "braaten", keep_predictions=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    with pytest.raises(CatalogueError, match="is something else than a store of scores"):
        score(digested(), "braaten", store=tmp_path / "full")
    unwritten = digested().assign_coords(reflectance_sha256=("scene", ["r0", "", "r2", "r3"]))
    with pytest.raises(CatalogueError, match="scene_01 has no digest of its reflectance"):
        score(unwritten, "braaten", store=url)
    score(digested(), "braaten", store=url, keep_predictions=True)
    with pytest.raises(CatalogueError, match=r"prediction is of scenes of another size, expected \(8, 16\)"):
        score(digested().isel(y=slice(8)), "braaten", store=url, keep_predictions=True)


HOLDING = """
import sys
sys.path[:0] = {paths!r}
from s2cmc_zarr.scoring.scores_store import claim_scores
with claim_scores({url!r}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_only_one_run_scores_into_a_store(url: Path) -> None:
    script = HOLDING.format(paths=[str(Path(__file__).parents[1])], url=str(url))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            CatalogueError, match=rf"another run is writing to this store: process {other.pid} on .*for it$"
        ):
            score(digested(), "braaten", store=url)
        assert not (url / "models").exists()
        other.kill()
    assert (url / "claim.json").exists()
    found = score(digested(), "braaten", store=url).compute()
    assert not (url / "claim.json").exists()
    with claim_scores(url):
        xr.testing.assert_identical(score(digested(), "braaten", store=url).compute(), found)
        with ThreadPoolExecutor(1) as pool, pytest.raises(CatalogueError, match="another run is writing to this store"):
            pool.submit(score, digested(), "braaten", store=url).result()
    assert not (url / "claim.json").exists()


def test_names_of_models_are_no_paths(url: Path) -> None:
    model = Counting("../../a b://c", [])
    score(digested(2), model, store=url).compute()
    assert [path.name for path in (url / "models").iterdir() if path.is_dir()] == [".._.._a_b___c-111111111111"]
    assert open_scores(url)["model"].values.tolist() == ["../../a b://c"]
    both = ["braaten", "braaten swir=0.2"]
    found = score(digested(2), both, store=url).compute()
    xr.testing.assert_identical(score(digested(2), both, store=url).compute(), found)
    assert open_scores(url, both)["model"].values.tolist() == both
    assert (found["confusion"].sel(model=both[0]) != found["confusion"].sel(model=both[1])).any()
    assert as_model(BraatenCohenYang()).digest != as_model(BraatenCohenYang(swir=0.2)).digest
