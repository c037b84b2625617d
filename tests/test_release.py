from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import dask
import fsspec
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from releases import PlainRelease, footprint, npy, one_hot
from s2cmc_zarr import (
    CatalogueError,
    DefectError,
    DefectWarning,
    convert,
    export_zip,
    open_catalogue,
    open_release,
    open_store,
)
from s2cmc_zarr.release.catalogue import Release
from s2cmc_zarr.schema import ATTRIBUTES, BAND_NAMES, DIMS, DTYPES, LABELS, TAGS


def check_values(ds: xr.Dataset, plain: PlainRelease) -> None:
    for number, scene in enumerate(ds["scene"].values.tolist()):
        one = ds.isel(scene=number)
        assert (one["reflectance"].values == plain.subscenes[scene].transpose(2, 0, 1)).all()
        assert (one["mask"].values == plain.labels[scene]).all()
        assert (one["thumbnail"].values == plain.thumbnails[scene]).all()
        alt = plain.alt_labels.get(scene)
        assert (one["alt_mask"].values == (255 if alt is None else alt)).all()


@pytest.mark.parametrize(
    "unpacked",
    [(), ("masks",), ("subscenes", "shapefiles"), ("subscenes", "masks", "alt_masks", "shapefiles", "thumbnails")],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_zips_folders_and_mixtures_give_the_same(
    plain: PlainRelease, tmp_path: Path, unpacked: tuple[str, ...], method: int
) -> None:
    ds = open_release(plain.write(tmp_path, unpacked, method))
    check_values(ds, plain)
    assert "lacking" not in ds.attrs


def test_the_dataset_is_the_schema(plain: PlainRelease, tmp_path: Path) -> None:
    ds = open_release(plain.write(tmp_path))
    for array, dims in DIMS.items():
        assert ds[array].dims == dims
        assert ds[array].dtype == DTYPES[array]
        assert ds[array].chunksizes["scene"] == (1,) * 5
        assert all(len(chunks) == 1 for dim, chunks in ds[array].chunksizes.items() if dim != "scene")
    for name, variable in ds.variables.items():
        assert variable.attrs == ATTRIBUTES[str(name)]
    assert all(isinstance(coordinate.variable._data, np.ndarray) or name in ds.indexes
               for name, coordinate in ds.coords.items())  # fmt: skip
    assert ds["band"].values.tolist() == list(BAND_NAMES)
    assert ds["tag"].values.tolist() == list(TAGS)
    assert ds["label"].values.tolist() == list(LABELS)
    assert ds["y"].values.tolist() == [-10.0 - 20 * row for row in range(32)]
    assert ds["x"].values.tolist() == [10.0 + 20 * column for column in range(32)]
    assert ds["has_alt_mask"].values.tolist() == [False, True, False, True, False]
    assert ds["x_origin"].values.tolist() == [451740.0 + 20 * number for number in range(5)]
    assert (ds["y_origin"].values == 9058800.0).all()
    assert ds["epsg"].values.tolist() == [32753, 32737, 32636, 32631, 32737]
    assert ds["tags"].values[1].tolist() == [bool(plain.rows[1][tag]) for tag in TAGS]
    for number, scene in enumerate(plain.scenes):
        expected = np.bincount(plain.labels[scene].ravel(), minlength=3)
        assert ds["table_class_count"].values[number].tolist() == expected.tolist()


def test_the_backend_opens_and_indexes_lazily(plain: PlainRelease, tmp_path: Path) -> None:
    folder = plain.write(tmp_path)
    expected = open_release(folder)["reflectance"].values
    ds = xr.open_dataset(folder, engine="s2cmc")
    assert ds["reflectance"].chunks is None
    key = {"scene": [3, 1], "band": 5, "y": [30, 2, 2], "x": slice(4, 20, 3)}
    assert (ds["reflectance"].isel(key).values == expected[[3, 1]][:, 5][:, [30, 2, 2]][:, :, 4:20:3]).all()
    assert ds["reflectance"].isel(scene=slice(0, 0)).values.shape == (0, 13, 32, 32)
    assert (ds["reflectance"].isel(scene=-1, x=-1).values == expected[-1, ..., -1]).all()
    assert xr.open_dataset(folder)["mask"].shape == (5, 32, 32), "the backend is guessed"
    assert "mask" not in xr.open_dataset(folder, engine="s2cmc", drop_variables="mask")
    chunked = xr.open_dataset(folder, engine="s2cmc", chunks={})
    xr.testing.assert_identical(chunked, open_release(folder))
    for name in DIMS:
        assert chunked[name].chunks == open_release(folder)[name].chunks


def test_what_is_read_is_only_what_is_asked_for(plain: PlainRelease, tmp_path: Path) -> None:
    folder = plain.write(tmp_path)
    ds = open_release(folder)
    path = folder / "subscenes.zip"
    with zipfile.ZipFile(path) as archive:
        damaged = archive.getinfo(f"subscenes/{plain.scenes[2]}.npy")
    data = bytearray(path.read_bytes())
    start = damaged.header_offset + 200
    data[start : start + 4] = bytes(byte ^ 0xFF for byte in data[start : start + 4])
    path.write_bytes(data)
    for number in (0, 1, 3, 4):
        ds["reflectance"].isel(scene=number).load()
    with pytest.raises(DefectError, match=f"{plain.scenes[2]}.npy: .*(CRC-32|inflate)"):
        ds["reflectance"].isel(scene=2).load()


def test_a_release_in_memory_and_with_processes(plain: PlainRelease, tmp_path: Path) -> None:
    plain.write(tmp_path)
    fs = fsspec.filesystem("memory")
    fs.put(str(tmp_path), "/catalogue", recursive=True)
    ds = open_release("memory://catalogue")
    check_values(ds, plain)
    release = pickle.loads(pickle.dumps(Release.open(str(tmp_path))))  # noqa: S301  # made here
    assert (release.read_subscene(plain.scenes[1]) == plain.subscenes[plain.scenes[1]].transpose(2, 0, 1)).all()
    with dask.config.set(scheduler="processes", num_workers=1):
        assert (open_release(tmp_path)["mask"].isel(scene=1).values == plain.labels[plain.scenes[1]]).all()


@pytest.mark.parametrize("component", ["alt_masks", "shapefiles", "thumbnails", "subscenes", "masks"])
def test_what_is_lacking_is_named_and_absent(plain: PlainRelease, tmp_path: Path, component: str) -> None:
    plain.files[component].clear()
    ds = open_release(plain.write(tmp_path))
    assert ds.attrs["lacking"] == [component]
    absent = {
        "alt_masks": "alt_mask",
        "shapefiles": "footprint",
        "thumbnails": "thumbnail",
        "subscenes": "reflectance",
        "masks": "mask",
    }[component]
    assert absent not in ds.variables
    assert ds.sizes["scene"] == 5


def test_scenes_not_downloaded_are_named_and_absent(plain: PlainRelease, tmp_path: Path) -> None:
    for number in (0, 3):
        del plain.files["subscenes"][f"{plain.scenes[number]}.npy"]
    ds = open_release(plain.write(tmp_path, unpacked=("subscenes",)))
    assert ds.attrs["lacking"] == ["2 of 5 scenes"]
    assert ds["scene"].values.tolist() == [plain.scenes[number] for number in (1, 2, 4)]
    check_values(ds, plain)


def test_the_tag_table_alone_is_a_release(real_csv: Path, tmp_path: Path) -> None:
    folder = tmp_path / "only"
    folder.mkdir()
    (folder / "classification_tags.csv").write_bytes(real_csv.read_bytes())
    (tmp_path / "elsewhere.csv").write_bytes(real_csv.read_bytes())
    for source in (folder, tmp_path / "elsewhere.csv"):
        ds = open_release(source)
        assert (ds.sizes["scene"], list(ds.data_vars)) == (513, [])
        assert ds["table_class_count"].sum("scene").values.tolist() == [246171470, 281740439, 7908383]
        assert ds.attrs["lacking"] == ["subscenes", "masks", "alt_masks", "shapefiles", "thumbnails"]
    with pytest.raises(CatalogueError, match=r"nowhere\.csv is not there; expected the tag table"):
        open_release(tmp_path / "nowhere.csv")


def test_the_real_table_is_held_to_1022_pixels(plain: PlainRelease, real_csv: Path, tmp_path: Path) -> None:
    folder = plain.write(tmp_path)
    (folder / real_csv.name).write_bytes(real_csv.read_bytes())
    with pytest.raises(CatalogueError, match="32 × 32 pixels, those of the published table 1022 × 1022"):
        open_release(folder)


def two_classes(plain: PlainRelease, scene: str) -> None:
    mask = one_hot(plain.labels[scene])
    mask[3, 4] = (True, True, False)
    mask[9, 9] = False
    plain.files["masks"][f"{scene}.npy"] = npy(mask)


def other_counts(plain: PlainRelease, scene: str) -> None:
    labels = plain.labels[scene].copy()
    labels[labels == 2] = 0
    plain.files["masks"][f"{scene}.npy"] = npy(one_hot(labels))


def wrong_shape(plain: PlainRelease, scene: str) -> None:
    plain.files["subscenes"][f"{scene}.npy"] = npy(np.zeros((32, 31, 13), "<f4"))


def wrong_mask_shape(plain: PlainRelease, scene: str) -> None:
    plain.files["masks"][f"{scene}.npy"] = npy(np.zeros((32, 32, 4), bool))


def no_mask(plain: PlainRelease, scene: str) -> None:
    del plain.files["masks"][f"{scene}.npy"]


def mask_dtype(plain: PlainRelease, scene: str) -> None:
    plain.files["masks"][f"{scene}.npy"] = npy(one_hot(plain.labels[scene]).astype("i1"))


def pickled(plain: PlainRelease, scene: str) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{}] * 100, dtype=object), allow_pickle=True)
    plain.files["masks"][f"{scene}.npy"] = stream.getvalue().ljust(128 + 3 * 32 * 32, b"\0")


def other_footprint(plain: PlainRelease, scene: str) -> None:
    plain.files["shapefiles"] |= footprint(scene, 450440.0, 9060100.0, 33)


Spoil = Callable[[PlainRelease, str], None]
DEFECTS: list[tuple[Spoil, str]] = [
    (two_classes, "2 pixels without exactly one class, the first in row 3, column 4"),
    (other_counts, "0 cloud_shadow pixels, but the tag table says 3"),
    (wrong_shape, "51,712 bytes, expected 53,376 for 32 × 32 pixels"),
    (wrong_mask_shape, r"shape \(32, 32, 4\), expected \(32, 32, 3\)"),
    (no_mask, "is in subscenes, but not in masks"),
    (mask_dtype, "dtype |i1, expected |b1"),
    (pickled, "pickled Python objects"),
    (other_footprint, "footprint: 3260.0 × 3260.0 m, expected 3240.0 × 3240.0 m"),
]


@pytest.mark.parametrize(("spoil", "message"), DEFECTS)
def test_a_defect_is_raised_unless_another_choice_is_made(
    plain: PlainRelease,
    tmp_path: Path,
    spoil: Spoil,
    message: str,
) -> None:
    scene = plain.scenes[2]
    spoil(plain, scene)
    folder = plain.write(tmp_path)
    with pytest.raises(DefectError, match=message) as caught:
        open_release(folder).load()
    assert scene in str(caught.value)


@pytest.mark.parametrize(("spoil", "message"), DEFECTS)
def test_defective_scenes_can_be_skipped(
    plain: PlainRelease,
    tmp_path: Path,
    spoil: Spoil,
    message: str,
) -> None:
    spoil(plain, plain.scenes[2])
    with pytest.warns(DefectWarning, match=message):
        ds = open_release(plain.write(tmp_path), on_defect="skip")
    assert ds["scene"].values.tolist() == [plain.scenes[number] for number in (0, 1, 3, 4)]
    check_values(ds, plain)


@pytest.mark.parametrize(("spoil", "message"), DEFECTS)
def test_defective_scenes_can_be_marked(
    plain: PlainRelease,
    tmp_path: Path,
    spoil: Spoil,
    message: str,
) -> None:
    scene = plain.scenes[2]
    spoil(plain, scene)
    with pytest.warns(DefectWarning, match=message):
        ds = open_release(plain.write(tmp_path), on_defect="mark").load()
    assert ds["scene"].values.tolist() == list(plain.scenes)
    assert [bool(text) for text in ds["defects"].values] == [False, False, True, False, False]
    check_values(ds.isel(scene=[0, 1, 3, 4]), plain)
    one = ds.sel(scene=scene)
    mask, labels = one["mask"].values, plain.labels[scene]
    if spoil is two_classes:
        assert np.argwhere(mask == 255).tolist() == [[3, 4], [9, 9]]
        assert (mask == labels)[mask != 255].all()
    elif spoil in (wrong_mask_shape, no_mask, mask_dtype, pickled):
        assert (mask == 255).all()
    elif spoil is wrong_shape:
        assert np.isnan(one["reflectance"].values).all()
    elif spoil is other_footprint:
        assert int(one["epsg"]) == 0
        assert np.isnan(one["x_origin"])


def test_ids_that_the_table_does_not_know_are_defects(plain: PlainRelease, tmp_path: Path) -> None:
    removed = plain.rows.pop(2)["scene"]
    folder = plain.write(tmp_path)
    with pytest.raises(DefectError, match=f"{removed}: is in subscenes, but not in the tag table"):
        open_release(folder)
    with pytest.warns(DefectWarning, match="is in alt_masks|is in masks, but not in the tag table"):
        ds = open_release(folder, on_defect="skip")
    assert ds.sizes["scene"] == 4


def test_the_first_header_is_checked_before_memory_is_taken(plain: PlainRelease, tmp_path: Path) -> None:
    header = npy(np.zeros((1, 1, 13), "<f4"))[:128].replace(b"(1, 1, 13)", b"(9999999, 9999999, 13)")
    plain.files["subscenes"][f"{plain.scenes[0]}.npy"] = header[:127] + b"\n" + bytes(100)
    with pytest.raises(DefectError, match="228 bytes, expected 53,376 for 32 × 32 pixels"):
        open_release(plain.write(tmp_path / "one"))
    for scene in plain.scenes:
        plain.files["subscenes"][f"{scene}.npy"] = header[:127] + b"\n" + bytes(100)
    plain.files["masks"].clear()
    plain.files["alt_masks"].clear()
    with pytest.raises(DefectError, match=r"shape \(9999999, 9999999, 13\), expected \(row, column, 13\)"):
        open_release(plain.write(tmp_path / "all"))


@pytest.mark.parametrize("shape", [b"(600, 600, 13)", b"(True, 32, 13)", b"(32, -32, 13)"])
def test_the_size_is_that_of_most_scenes_and_not_of_the_first_header(
    plain: PlainRelease, tmp_path: Path, shape: bytes
) -> None:
    name = f"{plain.scenes[0]}.npy"
    good = plain.files["subscenes"][name]
    padded = good[:128].replace(b"(32, 32, 13)", shape)
    plain.files["subscenes"][name] = padded[:127].rstrip().ljust(127) + b"\n" + good[128:]
    ds = open_release(plain.write(tmp_path))
    check_values(ds.isel(scene=slice(1, None)), plain)
    with pytest.raises(DefectError, match=f"{name}: shape .*, expected"):
        ds["reflectance"].isel(scene=0).load()


def test_a_member_that_inflates_to_more_than_it_says_is_refused(plain: PlainRelease, tmp_path: Path) -> None:
    folder = plain.write(tmp_path)
    path = folder / "masks.zip"
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"masks/{plain.scenes[1]}.npy")
    # The central directory says one byte less than the data hold.
    at = data.index(b"PK\x01\x02", data.rindex(b"PK\x03\x04"))
    while data[at + 46 : at + 46 + len(entry.filename)] != entry.filename.encode():
        at = data.index(b"PK\x01\x02", at + 4)
    path.write_bytes(data[: at + 24] + (entry.file_size - 1).to_bytes(4, "little") + data[at + 28 :])
    ds = open_release(folder)
    with pytest.raises(DefectError, match="does not inflate to the"):
        ds["mask"].isel(scene=1).load()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("masks.zip", b"", "not a whole zip"),
        ("masks.zip", b"PK\x03\x04 cut short", "not a whole zip"),
    ],
)
def test_broken_archives_are_refused(
    plain: PlainRelease, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = plain.write(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(CatalogueError, match=message):
        open_release(folder)


def test_encrypted_and_doubled_members_are_refused(plain: PlainRelease, tmp_path: Path) -> None:
    folder = plain.write(tmp_path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(folder / "masks.zip", "a") as archive:
        archive.writestr(f"masks/{plain.scenes[0]}.npy", b"")
    name = f"masks/{plain.scenes[0]}.npy in {folder}/masks.zip"
    with pytest.raises(CatalogueError, match=f"masks: 1 file.* there twice, the first as {name} and as {name}; "):
        open_release(folder)
    path = folder / "alt_masks.zip"
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    (folder / "masks.zip").unlink()
    with pytest.raises(CatalogueError, match="is encrypted"):
        open_release(folder)


def test_a_file_in_a_zip_and_in_a_folder_is_refused(plain: PlainRelease, tmp_path: Path) -> None:
    folder = plain.write(tmp_path)
    (folder / "subscenes").mkdir()
    (folder / "subscenes" / ".DS_Store").write_bytes(b"")
    for scene in plain.scenes[1:3]:
        (folder / "subscenes" / f"{scene}.npy").write_bytes(plain.files["subscenes"][f"{scene}.npy"])
    name = f"subscenes/{plain.scenes[1]}.npy"
    with pytest.raises(CatalogueError) as caught:
        open_release(folder)
    assert str(caught.value) == (
        f"subscenes: 2 file(s) are there twice, the first as {folder}/{name} and as {name} in {folder}/subscenes.zip; "
        "expected one: remove one, or move it elsewhere"
    )


def test_a_component_may_lie_partly_in_a_zip_and_partly_in_a_folder(plain: PlainRelease, tmp_path: Path) -> None:
    whole = dict(plain.files["subscenes"])
    names = list(whole)
    plain.files["subscenes"] = {name: whole[name] for name in names[:2]}
    folder = plain.write(tmp_path)
    (folder / "subscenes").mkdir()
    for name in names[2:]:
        (folder / "subscenes" / name).write_bytes(whole[name])
    ds = open_release(folder)
    assert ds.sizes["scene"] == 5
    check_values(ds, plain)


@pytest.mark.parametrize(
    ("component", "names"), [("alt_masks", ("_A.npy", "_B.npy")), ("thumbnails", (".png", ".jpg"))]
)
def test_two_files_of_one_scene_are_a_defect(
    plain: PlainRelease, tmp_path: Path, component: str, names: tuple[str, str]
) -> None:
    scene = plain.scenes[1]
    suffix = names[1][-4:]
    content = plain.files[component].pop(f"{scene}{'.npy' if suffix == '.npy' else '.png'}")
    plain.files[component] |= {f"{scene}{name}": content for name in names}
    folder = plain.write(tmp_path)
    places = " and ".join(f"{component}/{scene}{name} in {folder}/{component}.zip" for name in sorted(names))
    message = f"{scene}: 2 files in {component}, expected one: {places}"
    with pytest.raises(DefectError, match=message):
        open_release(folder)
    with pytest.warns(DefectWarning, match=message):
        ds = open_release(folder, on_defect="mark")
    assert ds["defects"].values[1] in message
    variable = {"alt_masks": "alt_mask", "thumbnails": "thumbnail"}[component]
    assert np.isin(ds[variable].values[1], {"alt_masks": 255, "thumbnails": 0}[component]).all()


def test_unknown_names_of_alt_masks_and_thumbnails_are_accepted(plain: PlainRelease, tmp_path: Path) -> None:
    plain.files["alt_masks"] = {name.replace(".npy", "_B.npy"): data for name, data in plain.files["alt_masks"].items()}
    for name in list(plain.files["thumbnails"]):
        stream = io.BytesIO()
        Image.open(io.BytesIO(plain.files["thumbnails"].pop(name))).save(stream, "TIFF")
        plain.files["thumbnails"][name.replace(".png", "_RGB.tif")] = stream.getvalue()
    check_values(open_release(plain.write(tmp_path)), plain)


def png(rows: int, columns: int, claimed: int | None = None) -> bytes:
    """A PNG that may claim to be a square of other size than it is."""
    stream = io.BytesIO()
    Image.new("RGB", (columns, rows)).save(stream, "PNG")
    data = stream.getvalue()
    if claimed is None:
        return data
    header = b"IHDR" + struct.pack(">2I", claimed, claimed) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image of a known format; 0 bytes"),
        (b"not an image", "not an image of a known format; 12 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not an image of a known format; 58 bytes"),
        (png(8, 8)[:48], "not a whole image"),
        (png(8, 9), "8 × 9 pixels, expected 8 × 8 as the first"),
        (png(8, 8, 5000), "5,000 × 5,000 pixels, expected at most 4096 a side"),
        (png(8, 8, 10000), "claims many millions of pixels|10,000 × 10,000 pixels"),
        (png(8, 8, 60000), "claims many millions of pixels"),
    ],
)
def test_a_thumbnail_that_is_no_image_is_an_error(
    plain: PlainRelease, tmp_path: Path, content: bytes, message: str
) -> None:
    plain.files["thumbnails"][f"{plain.scenes[1]}.png"] = content
    ds = open_release(plain.write(tmp_path))
    with pytest.raises(DefectError, match=f"{plain.scenes[1]}.png: {message}"):
        ds["thumbnail"].load()


def test_scenes_without_thumbnail_are_counted(plain: PlainRelease, tmp_path: Path) -> None:
    for number in (0, 2):
        del plain.files["thumbnails"][f"{plain.scenes[number]}.png"]
    ds = open_release(plain.write(tmp_path))
    assert ds.attrs["lacking"] == ["thumbnails of 2 scenes"]
    assert not ds["thumbnail"].values[[0, 2]].any()


def test_what_is_no_file_is_not_read(plain: PlainRelease, tmp_path: Path) -> None:
    folder = plain.write(tmp_path / "R", unpacked=("subscenes",))
    (folder / "subscenes" / f"{plain.scenes[0]}.npy").unlink()
    (folder / "subscenes" / f"{plain.scenes[0]}.npy").symlink_to(tmp_path / "nowhere")
    (folder / "subscenes" / f"{plain.scenes[1]}.npy").unlink()
    os.mkfifo(folder / "subscenes" / f"{plain.scenes[1]}.npy")
    ds = open_release(folder)
    assert ds["scene"].values.tolist() == list(plain.scenes[2:])
    (folder / "classification_tags.csv").unlink()
    os.mkfifo(folder / "classification_tags.csv")
    with pytest.raises(CatalogueError, match=r"classification_tags\.csv: is no regular file"):
        open_release(folder)


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "the path of the release is empty"), ("http://", "http://: names no host"), ("https:///x", "names no host")],
)
def test_places_that_are_none(source: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        open_release(source)


@pytest.mark.parametrize("prefix", ["", "file://", "zip::", "zip::file://"])
def test_an_exported_store_is_no_release_but_part_of_the_catalogue(
    plain: PlainRelease, tmp_path: Path, prefix: str
) -> None:
    convert(plain.write(tmp_path / "R"), tmp_path / "S.zarr")
    path = export_zip(tmp_path / "S.zarr", tmp_path / "S.zarr.zip")
    xr.testing.assert_identical(open_catalogue(f"{prefix}{path}").load(), open_store(tmp_path / "S.zarr").load())
    with pytest.raises(CatalogueError, match=r"no classification_tags\.csv there"):
        open_release(f"{prefix}{path}")


@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), (b"text", "not a zip file")])
@pytest.mark.parametrize("function", [open_catalogue, open_store, open_release])
def test_a_chained_url_of_what_is_no_zip(
    tmp_path: Path, content: bytes | None, message: str, function: Callable[[str], xr.Dataset]
) -> None:
    if content:
        (tmp_path / "S.zarr.zip").write_bytes(content)
    with pytest.raises(CatalogueError, match=message):
        function(f"zip::{tmp_path}/S.zarr.zip")


def test_what_is_at_a_wrong_place_is_said(plain: PlainRelease, tmp_path: Path) -> None:
    plain.write(tmp_path / "release")
    (tmp_path / "empty").mkdir()
    for function in (open_release, open_catalogue):
        for place, message in {
            "relaese": f"; there is no such path; did you mean '{tmp_path}/release'\\?",
            "nowhere/x": "; there is no such path",
            "empty": "; it is empty",
            "": "; in it are empty, release",
        }.items():
            with pytest.raises(CatalogueError, match=f"{message}$"):
                function(tmp_path / place)
    with pytest.raises(CatalogueError, match=r"; there is no such path; did you mean '.*classification_tags\.csv'\?$"):
        open_release(tmp_path / "release" / "clasification_tags.csv")


def test_elsewhere_there_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"no classification_tags.csv there; expected the folder"):
        open_release(tmp_path)
    with pytest.raises(CatalogueError, match=r"no classification_tags\.csv"):
        open_release(tmp_path / "nowhere")
    with pytest.raises(CatalogueError, match="expected 'raise', 'skip' or 'mark'"):
        open_release(tmp_path, on_defect="ignore")  # type: ignore[arg-type]
