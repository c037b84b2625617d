from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import rasterio
import rasterio.warp
import shapely

from releases import footprint
from s2cmc_zarr.errors import DefectError
from s2cmc_zarr.release.footprints import Footprint, decode_footprint, epsg_of_tile

SCENE = "S2B_MSIL1C_20180205T073059_N0206_R049_T37LDL_20180205T111142"
SIZE = (1022, 1022)


def files(scene: str = SCENE, size: int = 1022) -> tuple[bytes, bytes]:
    made = footprint(scene, 450440.0, 9060100.0, size)
    return made[f"{scene}.shp"], made[f"{scene}.prj"]


def test_the_real_footprints_decode_to_the_verified_places(real_data: Path) -> None:
    verified = json.loads((real_data / "footprints_verified.json").read_text())
    assert len(verified) == 3
    for known in verified:
        scene = known["scene"]
        path = real_data / "shapefiles" / scene / scene
        found = decode_footprint(
            path.with_suffix(".shp").read_bytes(), path.with_suffix(".prj").read_bytes(), scene[39:44], SIZE
        )
        assert found.epsg == known["epsg"]
        assert list(found.bounds) == known["subscene_bounds"]
        assert list(found.transform) == known["subscene_transform"]


def test_the_fixture_is_the_real_file(real_data: Path) -> None:
    path = real_data / "shapefiles" / SCENE / SCENE
    assert files() == (path.with_suffix(".shp").read_bytes(), path.with_suffix(".prj").read_bytes())


def test_centre_and_outline_agree_with_rasterio() -> None:
    found = decode_footprint(*files(), "37LDL", SIZE)
    west, south, east, north = found.bounds
    longitudes, latitudes = rasterio.warp.transform(
        f"EPSG:{found.epsg}",
        "EPSG:4326",
        [(west + east) / 2, west, east, east, west],
        [(south + north) / 2, north, north, south, south],
    )
    assert found.centre() == pytest.approx((longitudes[0], latitudes[0]), abs=1e-9)
    outline = shapely.from_wkt(found.wkt)
    expected = shapely.Polygon(list(zip(longitudes[1:], latitudes[1:], strict=True)))
    assert shapely.hausdorff_distance(outline, expected) < 1e-6


def test_an_outline_over_the_antimeridian_is_split() -> None:
    outline: Any = Footprint(32760, 810_000.0, 8_000_000.0, SIZE).polygon()
    assert outline.geom_type == "MultiPolygon"
    assert outline.is_valid
    west, _, east, _ = outline.bounds
    assert (west, east) == (-180, 180)
    parts = [part.bounds for part in outline.geoms]
    assert all(right - left < 1 for left, _, right, _ in parts)
    other_side: Any = Footprint(32701, 300_000.0, 8_000_000.0, SIZE).polygon()
    assert other_side.geom_type == "Polygon"
    assert other_side.bounds[2] < -178


@pytest.mark.parametrize(
    ("tile", "epsg"), [("37LDL", 32737), ("20PMQ", 32620), ("01NAA", 32601), ("60MZZ", 32760), ("31VEE", 32631)]
)
def test_zone_of_a_tile(tile: str, epsg: int) -> None:
    assert epsg_of_tile(tile) == epsg


@pytest.mark.parametrize(
    ("shp", "prj", "message"),
    [
        (b"", None, "not the whole .shp file"),
        (bytes(236), None, "not the whole .shp file"),
        (files()[0][:-8], None, "not the whole .shp file"),
        (files()[0][:100] + bytes(136), None, "expected one polygon|not a shapefile"),
        (files(size=1152)[0], None, r"25640.0 × 25640.0 m, expected 23040.0 × 23040.0 m"),
        (None, b"", "none that is known in the .prj file, expected EPSG:32737 of tile 37LDL"),
        (None, b"nonsense", "none that is known"),
        (footprint(SCENE, float("nan"), 9060100.0, 1022)[f"{SCENE}.shp"], None, "expected finite coordinates"),
        (None, files(SCENE.replace("37L", "36L"))[1], "EPSG:32736, expected EPSG:32737"),
        (None, files(SCENE.replace("37L", "37N"))[1], "EPSG:32637, expected EPSG:32737"),
    ],
)
def test_other_footprints_are_refused(shp: bytes | None, prj: bytes | None, message: str) -> None:
    good = files()
    with pytest.raises(DefectError, match=message):
        decode_footprint(good[0] if shp is None else shp, good[1] if prj is None else prj, "37LDL", SIZE)
