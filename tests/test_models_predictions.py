from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import UNLABELLED
from s2cmc_zarr.scoring.kept_scores import open_scores
from s2cmc_zarr.scoring.models import load_model
from s2cmc_zarr.scoring.scores import score
from servers import http_server
from test_scores_store import digested

SCENES = ["S2A_A", "S2A_B"]
MASKS = np.random.default_rng(0).choice(np.array([0, 1, 2, UNLABELLED], np.uint8), (2, 5, 6))
REFLECTANCE = np.ones((13, 5, 6), np.float32)


def check(url: str, **parameters: Any) -> None:
    model = load_model(f"predictions:{url}", **parameters)
    assert model.labels == ("clear", "cloud", "cloud_shadow")
    for scene, mask in zip(SCENES, MASKS, strict=True):
        np.testing.assert_array_equal(model.predict_scene(scene, reflectance=REFLECTANCE).mask, mask)


def write_geotiff(path: Path, band: npt.NDArray[Any]) -> None:
    transform = rasterio.Affine(20, 0, 0, 0, -20, 0)
    with rasterio.open(
        path, "w", "GTiff", band.shape[1], band.shape[0], 1, "EPSG:32632", transform, band.dtype
    ) as file:
        file.write(band, 1)


def test_a_folder_of_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "S2A_A.npy", MASKS[0])
    np.save(tmp_path / "S2A_B_mask.npy", MASKS[1].astype(np.int64))
    check(str(tmp_path))
    assert load_model(f"predictions:{tmp_path}").name == tmp_path.name
    assert load_model(f"predictions:{tmp_path}", name="theirs").name == "theirs"


def test_a_folder_of_geotiff(tmp_path: Path) -> None:
    for scene, mask in zip(SCENES, MASKS, strict=True):
        write_geotiff(tmp_path / f"{scene}.tif", mask)
    check(tmp_path.as_uri())
    (tmp_path / "S2A_A.tif").write_bytes(b"nonsense")
    with pytest.raises(CatalogueError, match=r"S2A_A.tif is no GeoTIFF that can be read"):
        load_model(f"predictions:{tmp_path}").predict_scene("S2A_A", reflectance=REFLECTANCE)


def test_a_zarr_variable(tmp_path: Path) -> None:
    ds = xr.Dataset({"theirs": (("scene", "y", "x"), MASKS)}, coords={"scene": SCENES})
    ds.to_zarr(tmp_path / "masks.zarr", zarr_format=2, consolidated=True)
    check(f"{tmp_path}/masks.zarr", variable="theirs")
    with pytest.raises(CatalogueError, match=r"expected 'mask' with dims .scene, y, x.*another variable is chosen by"):
        load_model(f"predictions:{tmp_path}/masks.zarr")


def test_values_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "S2A_A.npy", np.array([[3, 4, 7, 0, 255]], np.uint8))
    model = load_model(f"predictions:{tmp_path}", values="3=thin cloud,4=cloud,7=snow,0=no data")
    assert model.predict_scene("S2A_A", reflectance=REFLECTANCE[:, :1, :5]).mask.tolist() == [[1, 1, 0, 255, 255]]
    assert model.labels == ("clear", "cloud")
    with pytest.raises(CatalogueError, match=r"has the value\(s\) \[3, 4, 7\], expected .* or 255; say what"):
        load_model(f"predictions:{tmp_path}").predict_scene("S2A_A", reflectance=REFLECTANCE[:, :1, :5])


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    np.save(tmp_path / "S2A_A.npy", MASKS[0])
    before = load_model(f"predictions:{tmp_path}").digest
    assert load_model(f"predictions:{tmp_path}").digest == before
    assert load_model(f"predictions:{tmp_path}", values="0=clear,1=cloud").digest != before
    np.save(tmp_path / "S2A_B.npy", MASKS[1])
    model = load_model(f"predictions:{tmp_path}")
    assert model.digest != before
    model.predict_scene("S2A_B", reflectance=REFLECTANCE)


@pytest.mark.parametrize("kind", ["npy", "zarr"])
def test_the_digest_follows_the_content_where_nothing_else_is_known(tmp_path: Path, kind: str) -> None:
    # Neither fsspec's file system in memory nor a web server lists versions of files.
    folder = tmp_path / "masks"

    def write(masks: npt.NDArray[np.uint8]) -> None:
        if kind == "npy":
            folder.mkdir(exist_ok=True)
            for scene, mask in zip(SCENES, masks, strict=True):
                np.save(folder / f"{scene}.npy", mask)
            fsspec.filesystem("memory").put(f"{folder}/", "/masks", recursive=True)
        else:
            ds = xr.Dataset({"mask": (("scene", "y", "x"), masks)}, coords={"scene": SCENES})
            ds.to_zarr(folder, mode="w", zarr_format=2, consolidated=True)

    write(MASKS)
    with contextlib.ExitStack() as stack:
        if kind == "zarr":
            url = stack.enter_context(http_server(tmp_path)).url + "/masks"
        else:
            url = "memory://masks"
            stack.callback(fsspec.filesystem("memory").store.clear)
        before = load_model(f"predictions:{url}")
        assert load_model(f"predictions:{url}").digest == before.digest
        other = np.roll(MASKS, 1, axis=1)
        write(other)
        after = load_model(f"predictions:{url}")
        assert after.digest != before.digest
        found = [after.predict_scene(scene, reflectance=REFLECTANCE).mask for scene in SCENES]
        np.testing.assert_array_equal(found, other)
        write(MASKS)
        assert load_model(f"predictions:{url}").digest == before.digest


def test_masks_of_two_places_are_not_taken_for_versions_of_one_model(tmp_path: Path) -> None:
    ds = digested(2, 6)
    places = [tmp_path / version / "masks" for version in ("v1", "v2")]
    for number, place in enumerate(places):
        place.mkdir(parents=True)
        for scene in ds["scene"].values:
            np.save(place / f"{scene}.npy", np.full((6, 6), number, np.uint8))
    first, second = (f"predictions:{place}" for place in places)
    with pytest.raises(CatalogueError, match=r"models are \['masks', 'masks'\], .*'predictions:URL name=theirs'"):
        score(ds, [first, second])
    kept = tmp_path / "scores.zarr"
    score(ds, first, store=kept).compute()
    with pytest.raises(CatalogueError, match=rf"'masks' for file://{places[0]}, here it is file://{places[1]}; give"):
        score(ds, second, store=kept)
    score(ds, f"{second} name=newer", store=kept).compute()
    clouds = open_scores(kept)["confusion"].sel(prediction="cloud").sum(["scene", "truth"])
    assert clouds.sel(model="masks") == 0 < clouds.sel(model="newer")
    np.save(places[0] / "scene_00.npy", np.ones((6, 6), np.uint8))
    score(ds, first, store=kept).compute()  # a newer version of the same masks
    clouds = open_scores(kept)["confusion"].sel(prediction="cloud").sum("truth")
    assert (clouds.sel(model="masks") > 0).values.tolist() == [True, False]


def test_a_relative_path_is_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "S2A_A.npy", MASKS[0])
    monkeypatch.chdir(tmp_path.parent)
    assert load_model(f"predictions:{tmp_path.name}").digest == load_model(f"predictions:{tmp_path}").digest


def test_which_of_two_masks_of_a_scene_is_meant_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "files" / "old").mkdir(parents=True)
    for folder, mask in (("files", MASKS[0]), ("files/old", MASKS[1])):
        np.save(tmp_path / folder / "S2A_A.npy", mask)
    model = load_model(f"predictions:{tmp_path}/files")
    with pytest.raises(CatalogueError, match="2 of 2 predictions bear the name of S2A_A, expected 1"):
        model.predict_scene("S2A_A", reflectance=REFLECTANCE)
    ds = xr.Dataset({"mask": (("scene", "y", "x"), MASKS)}, coords={"scene": ["S2A_A"] * len(MASKS)})
    ds.to_zarr(tmp_path / "masks.zarr", zarr_format=2, consolidated=True)
    with pytest.raises(CatalogueError, match=f"has {len(MASKS)} masks of 1 scenes, expected one of each"):
        load_model(f"predictions:{tmp_path}/masks.zarr")


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no predictions; expected files named by scene"):
        load_model(f"predictions:{tmp_path}")
    np.save(tmp_path / "S2A_A.npy", MASKS[0])
    model = load_model(f"predictions:{tmp_path}")
    with pytest.raises(CatalogueError, match="0 of 1 predictions bear the name of S2A_B, expected 1"):
        model.predict_scene("S2A_B", reflectance=REFLECTANCE)
    with pytest.raises(CatalogueError, match=r"S2A_A.npy: shape \(5, 6\), expected \(5, 7\)"):
        model.predict_scene("S2A_A", reflectance=np.ones((13, 5, 7), np.float32))
    with pytest.raises(CatalogueError, match="has finished masks and predicts nothing from reflectance"):
        model(REFLECTANCE)
    with pytest.raises(CatalogueError, match="values are '0:clear', expected such as"):
        load_model(f"predictions:{tmp_path}", values="0:clear")
    with pytest.raises(CatalogueError, match="values mean haze, expected some of: clear"):
        load_model(f"predictions:{tmp_path}", values={0: "haze"})
