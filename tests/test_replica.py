from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import shapefile
from PIL import Image

from real_files import REAL_DATA, TABLE, needs_real_data
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.mgrs import tile_bounds
from s2cmc_zarr.release.replica import footprint_files, make_replica
from s2cmc_zarr.release.simulate_table import SETTINGS, scale_counts
from s2cmc_zarr.schema import CSV_COLUMNS, TAGS

SIZE = 64
PERCENTS = ["clear_percent", "cloud_percent", "shadow_percent"]
FILES = [
    "alt_masks.zip",
    "classification_tags.csv",
    "masks.zip",
    "shapefiles.zip",
    "subscenes.zip",
    "thumbnails.zip",
]


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_replica(tmp_path_factory.mktemp("replica") / "new" / "directory", size=SIZE)


def read_table(directory: Path) -> pd.DataFrame:
    return read_csv(directory / "classification_tags.csv")


def read_csv(path: Path) -> pd.DataFrame:
    # Python's own parser of numbers is exact, pandas' was not in every version.
    return pd.read_csv(path, converters=dict.fromkeys(PERCENTS, float))


def load(directory: Path, name: str, scene: str) -> npt.NDArray[Any]:
    with zipfile.ZipFile(directory / f"{name}.zip") as archive:
        array: npt.NDArray[Any] = np.load(io.BytesIO(archive.read(f"{name}/{scene}.npy")), allow_pickle=False)
    return array


def counts(table: pd.DataFrame, size: int) -> npt.NDArray[np.int64]:
    return np.asarray((table[PERCENTS] * size**2 / 100).round().astype("int64"))


def test_table_has_the_published_form(replica: Path) -> None:
    text = (replica / "classification_tags.csv").read_bytes()
    assert text.startswith(b"index,scene,difficulty,")
    assert text.endswith(b"\n")
    assert not set(b'\r"\xef') & set(text)
    table = read_table(replica)
    assert tuple(table.columns) == CSV_COLUMNS
    assert list(table["index"]) == list(range(8))
    assert table["scene"].is_monotonic_increasing
    assert table["scene"].is_unique
    form = r"S2[AB]_MSIL1C_\d{8}T\d{6}_N0206_R\d{3}_T\d{2}[C-X][A-Z]{2}_\d{8}T\d{6}"
    assert table["scene"].str.fullmatch(form).all()
    fields = table["scene"].str.split("_")
    assert (pd.to_datetime(fields.str[6]) > pd.to_datetime(fields.str[2])).all()
    assert fields.str[4].str[1:].astype(int).between(1, 143).all()
    assert table["difficulty"].between(1, 5).all()
    assert table["annotator"].isin(["A", "B"]).all()
    assert table[[*TAGS, "shadows_marked"]].isin([0, 1]).all(axis=None)
    n = counts(table, SIZE)
    assert (n.sum(axis=1) == SIZE**2).all()
    np.testing.assert_array_equal(100 * n / SIZE**2, table[PERCENTS])  # bit for bit


def test_eight_scenes_are_as_different_as_the_catalogue(replica: Path) -> None:
    table = read_table(replica)
    bands = table["scene"].str.split("_").str[5].str[3]
    assert (table["shadows_marked"] == 0).any()
    assert (table["dataset"] == "VALIDATION").any()
    assert (table["snow/ice"] == 1).any()
    assert (table["open_water"] == 1).any()
    assert (table["clear_percent"] == 100).any()
    assert (table["cloud_percent"] == 100).any()
    assert (table["shadow_percent"] > 0).any()
    assert (bands < "N").any()
    assert (bands >= "N").any()


def test_settings_name_tags_and_make_sense() -> None:
    for setting in SETTINGS:
        tags = set(setting.tags.split())
        assert tags <= set(TAGS)
        assert bool(tags & {"thin", "thick"}) == (setting.cloud > 0)
        assert 0 <= 1.3 * setting.cloud * (1 + 1.3 * setting.shadow) <= 1 or setting.cloud == 1


def test_archives_have_the_published_form(replica: Path) -> None:
    assert sorted(path.name for path in replica.iterdir()) == FILES
    table = read_table(replica)
    scenes = list(table["scene"])
    second = list(table.loc[table["dataset"] != "MAIN", "scene"])
    for name, ids in (("subscenes", scenes), ("masks", scenes), ("alt_masks", second)):
        with zipfile.ZipFile(replica / f"{name}.zip") as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [f"{name}/", *(f"{name}/{scene}.npy" for scene in ids)]
            for member in archive.infolist()[1:]:
                assert member.compress_type == zipfile.ZIP_DEFLATED
                assert member.date_time == (1980, 1, 1, 0, 0, 0)
                assert member.compress_size < 0.9 * member.file_size
                head = archive.read(member)[:128]
                assert head.startswith(b"\x93NUMPY\x01\x00\x76\x00")
                assert head.endswith(b"\n")
    with zipfile.ZipFile(replica / "subscenes.zip") as archive:
        head = archive.read(archive.namelist()[1])[:128]
        assert f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({SIZE}, {SIZE}, 13), }}".encode() in head


def test_arrays_have_the_published_form(replica: Path) -> None:
    table = read_table(replica)
    for scene, expected in zip(table["scene"], counts(table, SIZE), strict=True):
        subscene, mask = load(replica, "subscenes", scene), load(replica, "masks", scene)
        assert (subscene.dtype, subscene.shape) == (np.dtype("<f4"), (SIZE, SIZE, 13))
        assert (mask.dtype, mask.shape) == (np.dtype(bool), (SIZE, SIZE, 3))
        assert np.isfinite(subscene).all()
        assert (mask.sum(axis=2) == 1).all()
        np.testing.assert_array_equal(mask.sum(axis=(0, 1)), expected)


def test_alt_masks_are_nearly_the_masks(replica: Path) -> None:
    table = read_table(replica)
    for scene in table.loc[table["dataset"] != "MAIN", "scene"]:
        mask, alt_mask = load(replica, "masks", scene), load(replica, "alt_masks", scene)
        assert (alt_mask.dtype, alt_mask.shape) == (mask.dtype, mask.shape)
        assert (alt_mask.sum(axis=2) == 1).all()
        assert 0.85 < (alt_mask == mask).all(axis=2).mean() < 1


def test_thumbnails_are_quick_looks(replica: Path) -> None:
    table = read_table(replica)
    means = {}
    with zipfile.ZipFile(replica / "thumbnails.zip") as archive:
        top, *names = archive.namelist()
        assert top == "thumbnails/"
        assert [name.split("/")[1][:60] for name in names] == list(table["scene"])
        for name in names:
            image = Image.open(io.BytesIO(archive.read(name)))
            assert (image.mode, image.size) == ("RGB", (SIZE // 4, SIZE // 4))
            means[name.split("/")[1][:60]] = np.asarray(image).mean(axis=(0, 1))
    for _, row in table.iterrows():
        red, _, blue = means[row["scene"]]
        if row["desert/barren"] and row["clear_percent"] == 100:
            assert red > blue
        if row["cloud_percent"] == 100:
            assert min(red, blue) > 120


def test_footprints_lie_in_their_tile_and_on_its_grid(replica: Path) -> None:
    scenes = list(read_table(replica)["scene"])
    width = (SIZE + 130) * 20
    with zipfile.ZipFile(replica / "shapefiles.zip") as archive:
        assert archive.testzip() is None
        suffixes = Counter(Path(name).suffix for name in archive.namelist())
        assert suffixes == {"": 9, ".shp": 8, ".shx": 8, ".dbf": 8, ".prj": 8}
        for scene in scenes:
            stem = f"shapefiles/{scene}/{scene}"
            files = {part: io.BytesIO(archive.read(f"{stem}.{part}")) for part in ("shp", "shx", "dbf")}
            with shapefile.Reader(**files) as reader:
                assert reader.shapeType == shapefile.POLYGON
                assert [field[0] for field in reader.fields if field[0] != "DeletionFlag"] == ["FID"]
                (shape,), (record,) = reader.shapes(), reader.records()
            assert list(record) == [0]
            tile = tile_bounds(scene.split("_T")[1][:5])
            west, south, east, north = shape.bbox
            assert [tuple(point) for point in shape.points] == [
                (west, north),
                (east, north),
                (east, south),
                (west, south),
                (west, north),
            ]
            assert (east - west, north - south) == (width, width)
            assert tile.left <= west < east <= tile.right
            assert tile.bottom <= south < north <= tile.top
            assert (west - tile.left) % 20 == (tile.top - north) % 20 == 0
            zone, hemisphere = tile.epsg % 100, "S" if tile.epsg > 32700 else "N"
            assert f'PROJCS["WGS_1984_UTM_Zone_{zone}{hemisphere}"' in archive.read(f"{stem}.prj").decode()


@needs_real_data
def test_footprint_files_equal_the_real_ones_byte_for_byte() -> None:
    for real in json.loads((REAL_DATA / "footprints_verified.json").read_text()):
        folder = REAL_DATA / "shapefiles" / real["scene"]
        files = footprint_files(real["epsg"], tuple(real["footprint_bounds"]))
        assert files["shp"] == (folder / f"{real['scene']}.shp").read_bytes()
        assert files["prj"] == (folder / f"{real['scene']}.prj").read_bytes()
        assert set(files) == {"shp", "shx", "dbf", "prj"}


def test_bytes_depend_on_the_seed_alone(replica: Path, tmp_path: Path) -> None:
    again = make_replica(tmp_path / "again", size=SIZE, workers=3)
    other = make_replica(tmp_path / "other", size=SIZE, seed=1)
    for name in FILES:
        assert (again / name).read_bytes() == (replica / name).read_bytes()
        assert (other / name).read_bytes() != (replica / name).read_bytes()


def test_more_scenes_than_settings_stay_unique(tmp_path: Path) -> None:
    table = read_table(make_replica(tmp_path, 300, size=16))
    assert table["scene"].is_unique
    assert len(table) == 300


@needs_real_data
def test_real_table_is_kept_and_masks_have_its_counts_at_the_published_size(tmp_path: Path) -> None:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(row for row in rows if row["dataset"] == "VALIDATION" and float(row["shadow_percent"]) > 1)
    chosen = tmp_path / "tags.csv"
    chosen.write_text("\n".join([",".join(CSV_COLUMNS), ",".join(row.values())]) + "\n")
    replica = make_replica(tmp_path / "replica", None, tags=chosen)

    with (replica / "classification_tags.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [row | {"index": "0"}]
    expected = [round(float(row[column]) * 1022**2 / 100) for column in PERCENTS]
    mask, subscene = (load(replica, name, row["scene"]) for name in ("masks", "subscenes"))
    assert mask.sum(axis=(0, 1)).tolist() == expected
    assert subscene.shape == (1022, 1022, 13)
    with zipfile.ZipFile(replica / "subscenes.zip") as archive:
        member = archive.infolist()[1]
        assert member.file_size == 54_313_296
        assert 0.4 < member.compress_size / member.file_size < 0.8
    with zipfile.ZipFile(replica / "shapefiles.zip") as archive:
        shp = archive.read(next(name for name in archive.namelist() if name.endswith(".shp")))
    west, south, east, north = shapefile.Reader(shp=io.BytesIO(shp)).shape(0).bbox
    assert (east - west, north - south) == (23_040, 23_040)
    assert load(replica, "alt_masks", row["scene"]).shape == mask.shape


@needs_real_data
def test_rows_are_spread_evenly_over_the_real_table_and_scaled(tmp_path: Path) -> None:
    real = read_csv(TABLE)
    table = read_table(make_replica(tmp_path, 12, size=SIZE, tags=TABLE))
    chosen = real.loc[np.linspace(0, 512, 12).round().astype(int)].reset_index(drop=True)
    unchanged = [column for column in CSV_COLUMNS if column not in {"index", *PERCENTS}]
    pd.testing.assert_frame_equal(table[unchanged], chosen[unchanged])
    assert list(table["index"]) == list(range(12))
    n = counts(table, SIZE)
    assert (n.sum(axis=1) == SIZE**2).all()
    np.testing.assert_array_equal(n > 0, counts(chosen, 1022) > 0)
    np.testing.assert_allclose(n / SIZE**2, chosen[PERCENTS] / 100, atol=2 / SIZE**2)
    masks = [load(tmp_path, "masks", scene).sum(axis=(0, 1)) for scene in table["scene"]]
    np.testing.assert_array_equal(masks, n)


@needs_real_data
def test_whole_real_table_can_be_asked_for(tmp_path: Path) -> None:
    everything = read_table(make_replica(tmp_path / "all", None, size=16, tags=TABLE))
    more = read_table(make_replica(tmp_path / "more", 1000, size=16, tags=TABLE))
    pd.testing.assert_frame_equal(everything, more)
    assert len(everything) == 513
    assert (everything["dataset"] != "MAIN").sum() == 60


@pytest.mark.parametrize(
    ("given", "pixels", "expected"),
    [
        ((1_044_484, 0, 0), 256, (256, 0, 0)),
        ((1_044_483, 1, 0), 256, (255, 1, 0)),
        ((1, 1_044_482, 1), 256, (1, 254, 1)),
        ((522_242, 522_241, 1), 256, (127, 128, 1)),
    ],
)
def test_scaling_keeps_the_sum_and_what_is_rare(
    given: tuple[int, int, int], pixels: int, expected: tuple[int, int, int]
) -> None:
    assert scale_counts(given, pixels) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: make_replica(path, size=15), "a scene of 15 pixels"),
        (lambda path: make_replica(path, size=5361), "a scene of 5361 pixels"),
        (lambda path: make_replica(path, 0), "0 scenes asked for"),
        (lambda path: make_replica(path, None), "no number of scenes and no tag table"),
        (lambda path: make_replica(path, workers=0), "0 workers"),
        (lambda path: make_replica(path, tags=path / "missing.csv"), "cannot read the tag table"),
        (lambda path: make_replica(path, 2000, size=5360), r"take up to [\d.]+ GB, but .* has [\d.]+ GB free"),
    ],
)
def test_impossible_requests_are_refused(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=message):
        make(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_directory_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    for target in (tmp_path, tmp_path / "precious"):
        with pytest.raises(CatalogueError, match="not an empty directory"):
            make_replica(target, 1, size=16)
    assert (tmp_path / "precious").read_text() == "data"


def test_an_interrupted_run_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    code = f"from s2cmc_zarr.release.replica import make_replica; make_replica({str(tmp_path)!r}, 5000, size=128)"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        begun = tmp_path / "subscenes.zip.partial"
        while process.poll() is None and not (begun.exists() and begun.stat().st_size):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in error
    assert not list(tmp_path.iterdir())


def test_progress_is_shown_only_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_replica(tmp_path / "silent", 2, size=16)
    assert capsys.readouterr().out == ""
    make_replica(tmp_path / "shown", 2, size=16, progress=True)
    assert "Simulating scenes" in capsys.readouterr().out
