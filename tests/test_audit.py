from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from releases import PlainRelease, footprint, npy, one_hot
from s2cmc_zarr import CatalogueError, DefectWarning, audit, convert, open_release, open_store
from s2cmc_zarr.analysis.audit import Audit
from s2cmc_zarr.analysis.checks import CHECKS, TITLES
from s2cmc_zarr.kernels.audit import count_invalid_values, count_mask_values
from s2cmc_zarr.release.mgrs import tile_bounds
from s2cmc_zarr.schema import TAG_GROUPS, TAGS
from s2cmc_zarr.view.audit import print_audit


def place(plain: PlainRelease, number: int, east: float = 200.0, south: float = 200.0, size: int | None = None) -> None:
    """Put the footprint of a scene so far from the north-west corner of its tile."""
    scene = plain.scenes[number]
    tile = tile_bounds(scene.split("_T")[1][:5])
    plain.files["shapefiles"] |= footprint(scene, tile.left + east, tile.top - south, size or plain.size)


@pytest.fixture
def sound(plain: PlainRelease) -> PlainRelease:
    """A release in which nothing is wrong: scene 0 is all cloud, the others have all classes or no shadow."""
    for number, row in enumerate(plain.rows):
        row |= {tag: int(number > 0 or tag not in TAG_GROUPS["surface"]) for tag in TAGS}
        place(plain, number)
    return plain


def set_subscene(plain: PlainRelease, number: int, where: Any, value: float) -> None:
    subscene = plain.subscenes[plain.scenes[number]]
    subscene[where] = value
    plain.files["subscenes"][f"{plain.scenes[number]}.npy"] = npy(subscene)


def set_mask(plain: PlainRelease, number: int, component: str, classes: list[bool]) -> None:
    labels = plain.labels if component == "masks" else plain.alt_labels
    mask = one_hot(labels[plain.scenes[number]])
    mask[5, 6:8] = classes
    plain.files[component][f"{plain.scenes[number]}.npy"] = npy(mask)


def more_shadow(plain: PlainRelease) -> None:
    """The mask of scene 2 has one pixel of shadow instead of clear more than its row says."""
    labels = plain.labels[plain.scenes[2]]
    row, column = np.argwhere(labels == 0)[0]
    labels[row, column] = 2
    plain.files["masks"][f"{plain.scenes[2]}.npy"] = npy(one_hot(labels))


def damage(plain: PlainRelease, component: str, number: int = 3) -> None:
    """Replace a file by as many bytes that are no array."""
    name = f"{plain.scenes[number]}.npy"
    plain.files[component][name] = b"?" * len(plain.files[component][name])


def set_labels(plain: PlainRelease, number: int, value: int, pixels: int) -> None:
    """Make a scene of one class, of which `pixels` are clear instead, in mask and row."""
    labels = np.full((plain.size, plain.size), value, dtype=np.uint8)
    labels.ravel()[:pixels] = 0
    plain.files["masks"][f"{plain.scenes[number]}.npy"] = npy(one_hot(labels))
    for name, label in (("clear_percent", 0), ("cloud_percent", 1), ("shadow_percent", 2)):
        plain.rows[number][name] = 100 * int((labels == label).sum()) / labels.size


def without_tags(plain: PlainRelease, number: int, *groups: str) -> None:
    plain.rows[number] |= {tag: 0 for group in groups for tag in TAG_GROUPS[group]}


def without_surface_tags(plain: PlainRelease) -> None:
    set_labels(plain, 2, 1, 16)
    without_tags(plain, 2, "surface")


def in_another_zone(plain: PlainRelease) -> None:
    name = f"{plain.scenes[2]}.prj"
    plain.files["shapefiles"][name] = plain.files["shapefiles"][f"{plain.scenes[3]}.prj"]


Plant = Callable[[PlainRelease], object]
PLANTS: list[tuple[Plant, str, int, str]] = [
    (lambda r: set_mask(r, 2, "masks", [True, True, False]), "not_one_hot", 2, "2 pixels without exactly one class"),
    (lambda r: set_mask(r, 3, "alt_masks", [False] * 3), "alt_mask", 3, "2 pixels without exactly one class"),
    (lambda r: set_subscene(r, 2, (slice(0, 3), 4), 0), "no_data", 2, "3 pixels of which every band is zero"),
    (lambda r: set_subscene(r, 2, (0, 1), np.nan), "no_data", 2, "1 pixels of which every band is zero or not finite"),
    (lambda r: set_subscene(r, 1, (0, 0, [2, 9]), np.inf), "non_finite", 1, "2 values, in B03, B09"),
    (lambda r: set_subscene(r, 4, (slice(0, 5), 0, 12), -1e-4), "negative", 4, "5 values, in B12"),
    (lambda r: damage(r, "subscenes"), "unreadable", 3, "reflectance: subscenes/.*npy: "),
    (lambda r: damage(r, "alt_masks"), "recorded", 3, "alt_masks/.*npy: "),
    (lambda r: r.rows[0].update({"open_water": 1, "coastal": 1}), "hidden_surface", 0, "coastal, open_water"),
    (lambda r: without_tags(r, 1, "height", "cloud_type"), "no_cloud_tags", 1, "height, cloud_type"),
    (without_surface_tags, "no_surface_tag", 2, "1.56 % is not cloud"),
    (lambda r: set_labels(r, 1, 0, 0), "cloud_tags", 1, "thin, thick, low, high, isolated, extended, cumulus, .*"),
    (lambda r: r.rows[2].update(shadows_marked=0), "unmarked_shadow", 2, r"\d+ shadow pixels \(\d\d\.\d\d %\)"),
    (in_another_zone, "recorded", 2, "footprint: reference system EPSG:32631, expected EPSG:32636 of tile 36TVP"),
    (lambda r: place(r, 2, size=40), "recorded", 2, "footprint: 3400.0 × 3400.0 m, expected 3240.0 × 3240.0 m"),
    (lambda r: place(r, 2, east=-1320), "footprint", 2, "not inside tile 36TVP"),
    (lambda r: place(r, 2, south=109_800), "footprint", 2, "not inside tile 36TVP"),
    (lambda r: place(r, 2, east=210), "footprint", 2, "not on the 20 m grid of tile 36TVP"),
]


@pytest.mark.parametrize(("plant", "check", "row", "text"), PLANTS, ids=[f"{n}-{p[1]}" for n, p in enumerate(PLANTS)])
def test_what_is_planted_is_found_and_nothing_else(
    sound: PlainRelease, tmp_path: Path, plant: Plant, check: str, row: int, text: str
) -> None:
    assert audited(sound.write(tmp_path / "sound")).findings.empty
    plant(sound)
    found = audited(sound.write(tmp_path / "planted"))
    (finding,) = found.findings.to_dict(orient="records")
    assert (finding["check"], finding["row"], finding["scene"]) == (check, row, sound.scenes[row])
    assert re.match(text, finding["found"])
    assert found.passed == (finding["severity"] == "note")
    assert not found.skipped


def audited(folder: Path) -> Audit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DefectWarning)
        return audit(open_release(folder, on_defect="mark"))


def test_a_mask_against_the_table(sound: PlainRelease, tmp_path: Path) -> None:
    labels = sound.labels[sound.scenes[2]]
    counts = [int((labels == value).sum()) for value in range(3)]
    more_shadow(sound)
    found = audited(sound.write(tmp_path)).findings
    assert set(found["check"]) == {"class_counts"}
    assert found["row"].tolist() == [2, 2]
    assert found["found"].tolist() == [
        f"{counts[0] - 1} clear pixels, but the tag table says {counts[0]}",
        f"{counts[2] + 1} cloud_shadow pixels, but the tag table says {counts[2]}",
    ]


def test_a_scene_that_the_table_does_not_know(sound: PlainRelease, tmp_path: Path) -> None:
    sound.rows.pop(4)
    found = audited(sound.write(tmp_path)).findings
    assert set(found["scene"]) == {sound.scenes[4]}
    assert set(found["row"]) == {-1}
    assert "is in masks, but not in the tag table" in found["found"].tolist()


def test_a_damaged_mask_does_not_stop_the_audit(sound: PlainRelease, tmp_path: Path) -> None:
    damage(sound, "masks")
    set_subscene(sound, 1, (0, 0, 0), np.nan)
    found = audited(sound.write(tmp_path)).findings.set_index("check")
    assert found["row"].to_dict() == {"recorded": 3, "not_one_hot": 3, "non_finite": 1}


def test_several_damaged_subscenes_are_found_among_others(sound: PlainRelease, tmp_path: Path) -> None:
    for number in (0, 3, 4):
        damage(sound, "subscenes", number)
    set_mask(sound, 3, "masks", [False] * 3)
    set_subscene(sound, 1, (0, 0, 0), np.nan)
    found = audited(sound.write(tmp_path)).findings
    by_check = found.groupby("check")["row"].apply(list).to_dict()
    assert by_check == {"unreadable": [0, 3, 4], "not_one_hot": [3], "non_finite": [1]}


def test_a_release_that_was_opened_to_raise(sound: PlainRelease, tmp_path: Path) -> None:
    set_mask(sound, 2, "masks", [True, True, False])
    found = audit(open_release(sound.write(tmp_path))).findings
    assert found["check"].tolist() == ["unreadable"]
    assert "2 pixels without exactly one class" in found["found"][0]


def test_a_store_is_audited_like_its_release(sound: PlainRelease, tmp_path: Path) -> None:
    for plant, *_ in (PLANTS[0], PLANTS[4], PLANTS[5], PLANTS[8]):
        plant(sound)
    release = sound.write(tmp_path / "R")
    convert(release, tmp_path / "S.zarr", on_defect="mark")
    pd.testing.assert_frame_equal(audit(open_store(tmp_path / "S.zarr")).findings, audited(release).findings)


def test_a_store_with_other_values_and_a_scene_that_was_not_written(sound: PlainRelease, tmp_path: Path) -> None:
    damage(sound, "subscenes")
    convert(sound.write(tmp_path / "R"), tmp_path / "S.zarr", on_defect="mark")
    zarr.open_array(tmp_path / "S.zarr", path="mask", mode="r+")[2, 0, :3] = 9
    found = audit(open_store(tmp_path / "S.zarr")).findings.set_index("check")
    assert found.loc["unconverted", "row"] == 3
    assert found.loc["mask_values", "found"] == "3 pixels that are neither a class nor 255"
    assert set(found["row"]) == {2, 3}


def test_a_damaged_store_is_audited_to_the_end(sound: PlainRelease, tmp_path: Path) -> None:
    set_subscene(sound, 4, (0, 0, 0), -1)
    convert(sound.write(tmp_path / "R"), tmp_path / "S.zarr")
    for shard in (tmp_path / "S.zarr/reflectance/c/1/0/0/0", tmp_path / "S.zarr/mask/c/3/0/0"):
        content = bytearray(shard.read_bytes())
        content[-40:] = bytes(40)
        shard.write_bytes(content)
    found = audit(open_store(tmp_path / "S.zarr")).findings
    by_check = found.groupby("check")["row"].apply(list).to_dict()
    assert by_check == {"unreadable": [1, 3], "negative": [4]}


def test_storage_that_fails_is_not_a_finding(sound: PlainRelease, tmp_path: Path) -> None:
    ds = open_release(sound.write(tmp_path / "R"), on_defect="mark")
    (tmp_path / "R" / "subscenes.zip").unlink()
    with pytest.raises(CatalogueError, match=r"subscenes\.zip is not there, or no longer"):
        audit(ds)


def test_related_scenes_and_groups_that_divide_them(real_csv: Path) -> None:
    ds = open_release(real_csv)
    tiles = ds["tile"].to_series()
    first, second = np.flatnonzero(tiles.isin([tiles[tiles.duplicated()].iloc[0]]))
    group = ds["group"].values.copy()
    group[second] = -1
    found = audit(ds.assign_coords(group=("scene", group))).findings
    (finding,) = found[found["check"] == "group"].to_dict(orient="records")
    assert finding["row"] == second
    assert finding["found"] == f"group -1, but a scene of its tile or pass has {group[first]}"


def test_the_real_table(real_csv: Path) -> None:
    table = pd.read_csv(real_csv)
    found = audit(open_release(real_csv))
    rows = found.findings.groupby("check")["row"].apply(list).to_dict()
    surface = table[list(TAG_GROUPS["surface"])].any(axis=1)
    assert rows["cloud_tags"] == [297, 321, 325]
    assert rows["unmarked_shadow"] == [15]
    assert rows["no_surface_tag"] == [428]
    assert rows["hidden_surface"] == table.index[(table["cloud_percent"] == 100) & surface].tolist()
    assert len(rows["hidden_surface"]) == 77
    tile = table["scene"].str[38:44]
    repeated = table.groupby(tile).filter(lambda scenes: len(scenes) > 1)
    assert rows["repeated_tile"] == sorted(repeated.groupby(tile)["index"].min())
    assert (len(rows["repeated_tile"]), len(rows["shared_pass"])) == (6, 14)
    passes = table["scene"].str[:3] + table["scene"].str[11:19] + table["scene"].str[33:37]
    assert rows["shared_pass"] == sorted(table[passes.duplicated(keep=False)].groupby(passes)["index"].min())
    assert set(rows) == {
        "cloud_tags",
        "unmarked_shadow",
        "no_surface_tag",
        "hidden_surface",
        "repeated_tile",
        "shared_pass",
    }
    assert found.findings["scene"].tolist() == table["scene"].iloc[found.findings["row"]].tolist()
    assert found.group.index.tolist() == table["scene"].tolist()
    assert found.group.nunique() == 493
    assert not found.passed
    written = json.loads(json.dumps(found.to_dict()))
    assert (written["passed"], written["group_count"], len(written["findings"])) == (False, 493, 102)
    assert written["skipped"]["class_counts"] == ["mask"]


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_a_terminal(
    real_csv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_audit(audit(open_release(real_csv)))
    findings, _, summary = capsys.readouterr().out.partition("513 scene(s)")
    assert "5 defect(s)" in summary
    assert max(map(len, findings.splitlines())) <= width
    one_line = "T18NUL_20180201T190246  73,060 shadow pixels (6.99 %)"
    assert (one_line in findings) == (width == 120)
    assert "\n       73,060 shadow pixels (6.99 %)\n" in findings or width == 120


def test_real_footprints_fit_their_tiles(real_data: Path, tmp_path: Path) -> None:
    scenes = tuple(path.name for path in sorted((real_data / "shapefiles").iterdir()))
    real = PlainRelease(size=1022, scenes=scenes)
    for kind in ("subscenes", "masks", "alt_masks", "thumbnails"):
        real.files[kind] = {}
    for scene in scenes:
        for suffix in (".shp", ".prj"):
            name = f"{scene}{suffix}"
            real.files["shapefiles"][name] = (real_data / "shapefiles" / scene / name).read_bytes()
    found = audit(open_release(real.write(tmp_path)))
    assert "footprint" not in found.skipped
    assert "footprint" not in found.findings["check"].tolist()


def test_every_check_has_a_title_and_no_scenes_are_refused(real_csv: Path) -> None:
    assert set(CHECKS) < set(TITLES)
    with pytest.raises(CatalogueError, match="no scenes to audit"):
        audit(open_release(real_csv).isel(scene=[]))


@given(hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 2, 3, 254, 255])))
def test_mask_values_are_counted(mask: npt.NDArray[np.uint8]) -> None:
    found = count_mask_values(mask)
    assert found["class_count"].tolist() == [(mask == value).sum() for value in range(3)]
    assert found["unlabelled_count"] == (mask == 255).sum()
    assert found["class_count"].sum() + found["unlabelled_count"] + found["invalid_count"] == mask.size


@given(hnp.arrays(np.float32, (3, 4, 5), elements=st.sampled_from([0, 0, 0.5, -0.5, np.nan, np.inf])))
def test_invalid_values_are_counted(reflectance: npt.NDArray[np.float32]) -> None:
    found = count_invalid_values(reflectance)
    data = ((reflectance != 0) & np.isfinite(reflectance)).any(axis=0)
    assert found["no_data_count"] == (~data).sum()
    assert found["non_finite_count"].tolist() == (~np.isfinite(reflectance) & data).sum((1, 2)).tolist()
    assert found["negative_count"].tolist() == ((reflectance < 0) & data).sum((1, 2)).tolist()
