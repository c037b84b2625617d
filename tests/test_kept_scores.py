from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.kept_scores import is_scores, open_scores
from s2cmc_zarr.scoring.metrics import metrics
from s2cmc_zarr.scoring.scores import score
from s2cmc_zarr.store.objects import ROOT, connect, put_json
from test_probabilities import Brightness
from test_scores_store import Counting, digested


@pytest.fixture
def url(tmp_path: Path) -> Path:
    return tmp_path / "scores.zarr"


def test_scenes_that_all_models_have(url: Path) -> None:
    ds = digested()
    score(ds.isel(scene=[0, 1, 2]), "braaten", store=url).compute()
    score(ds.isel(scene=[2, 3, 1]), Brightness(), store=url).compute()
    both = open_scores(url)
    assert both["model"].values.tolist() == ["braaten", "brightness"]
    assert sorted(both["scene"].values) == ["scene_01", "scene_02"]
    assert open_scores(url, ["brightness"]).sizes["scene"] == 3
    assert both.attrs["left_out_scene_count"] == 2
    assert open_scores(url, ["brightness"]).attrs["left_out_scene_count"] == 0
    with pytest.raises(CatalogueError, match=r"'braaten', 'brightness', 'braaten'.*, expected each of them once"):
        open_scores(url, ["braaten", "brightness", "braaten"])
    expected = score(ds.sel(scene=both["scene"].values), ["braaten", Brightness()]).compute()
    xr.testing.assert_allclose(metrics(both, "tags"), metrics(expected, "tags"))


def test_scores_of_different_pixels_are_not_compared(url: Path) -> None:
    ds, one, other = digested(5), Counting("one", []), Counting("other", [])
    score(ds, [one, other], store=url).compute()
    expected = open_scores(url)
    changed = ds.assign_coords(reflectance_sha256=("scene", ["r0", "new", "new", "new", "new"]))
    score(changed, other, store=url).compute()
    differing = "scene_01, scene_02, scene_03 and 1 more"
    with pytest.raises(CatalogueError, match=f"one and other were scored on different pixels or masks of {differing}:"):
        open_scores(url)
    assert open_scores(url, ["other"]).sizes["scene"] == 5
    score(changed, [one, other], store=url).compute()
    np.testing.assert_array_equal(open_scores(url)["confusion"], expected["confusion"])


def test_what_only_one_model_needs_makes_no_difference(url: Path) -> None:
    ds = digested()
    ds = ds.assign(alt_mask=ds["mask"]).assign_coords(alt_mask_sha256=("scene", ["a0", "a1", "a2", "a3"]))
    score(ds, ["braaten", "annotator"], store=url).compute()
    assert open_scores(url)["model"].values.tolist() == ["annotator", "braaten"]


def test_a_name_means_the_version_that_was_scored_last(url: Path) -> None:
    ds, old, new = digested(), Counting("one", [], "1" * 64), Counting("one", [], "2" * 64)
    score(ds, [old, "braaten"], store=url).compute()
    score(ds.isel(scene=[1, 2]), new, store=url).compute()
    assert open_scores(url)["model"].values.tolist() == ["braaten", "one"]
    assert open_scores(url)["model_digest"].values[1] == new.digest
    assert open_scores(url).sizes["scene"] == 2
    versions = open_scores(url, ["one", "one 11111111", "one 22222222"])
    assert versions["model_digest"].values.tolist() == [new.digest, old.digest, new.digest]
    with pytest.raises(CatalogueError, match="there are: braaten, one, one 11111111, one 22222222"):
        open_scores(url, ["one 3"])
    score(ds, old, store=url)  # all of it is there
    assert open_scores(url, ["one"])["model_digest"].item() == old.digest
    score(ds, Counting("one", [], "3" * 64), store=url)  # nothing is computed, as if it had died
    assert open_scores(url, ["one"])["model_digest"].item() == old.digest


def test_newer_coordinates_of_a_scene_are_kept(url: Path) -> None:
    ds = digested()
    score(ds, "braaten", store=url).compute()
    harder = ds.isel(scene=[1]).assign_coords(difficulty=("scene", [5]))
    score(harder, "braaten", store=url).compute()
    found = open_scores(url)
    assert found["difficulty"].sel(scene=["scene_00", "scene_01", "scene_02"]).values.tolist() == [1, 5, 3]


def test_times_and_strings_come_back(url: Path) -> None:
    time = np.array(["2018-01-01T01:07:21", "2018-05-06T13:56:31"], dtype="datetime64[ns]")
    ds = digested(2).assign_coords(time=("scene", time))
    score(ds, "braaten", store=url).compute()
    found = open_scores(url)
    np.testing.assert_array_equal(found["time"], time)
    assert found["annotator"].dtype.kind == "U"
    np.testing.assert_array_equal(found["tags"], ds["tags"])
    assert found["tag_group"].dims == ("tag",)


def test_unfinished_scenes_are_not_opened(url: Path) -> None:
    score(digested(), "braaten", store=url)
    with pytest.raises(CatalogueError, match="no scene was scored with all of braaten"):
        open_scores(url)


def test_refusals(url: Path, tmp_path: Path) -> None:
    assert not is_scores(url)
    with pytest.raises(CatalogueError, match=r"no store of scores there; make one with s2cmc score"):
        open_scores(url)
    score(digested(), Counting("one", []), store=url).compute()
    assert is_scores(url)
    with pytest.raises(CatalogueError, match=r"no scores of 'other' in .*; there are: one"):
        open_scores(url, ["one", "other"])
    more: dict[str, Any] = {"season": ("scene", ["DJF"])}
    with pytest.raises(CatalogueError, match="do not both have: season; use another store"):
        score(digested(5).isel(scene=[4]).assign_coords(more), "braaten", store=url)
    put_json(
        connect(tmp_path / "newer", read_only=False),
        ROOT,
        {"attributes": {"scores_version": 99}, "zarr_format": 3, "node_type": "group"},
    )
    with pytest.raises(CatalogueError, match="the store has scores of version 99, this version of s2cmc-zarr knows 2"):
        open_scores(tmp_path / "newer")
