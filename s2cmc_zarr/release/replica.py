"""A catalogue in the published layout with simulated pixels, for tests, demonstrations and benchmarks."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import zipfile
import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapefile
from PIL import Image
from rich.progress import track

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.mgrs import EXTENT, FALSE_NORTHING, Tile, tile_bounds
from s2cmc_zarr.release.simulate import scene_generator, simulate_scene
from s2cmc_zarr.release.simulate_table import Row, choose_rows, format_table
from s2cmc_zarr.release.tags import FILE_NAME
from s2cmc_zarr.schema import BAND_NAMES, BANDS, INSET, LABELS, PIXEL_SIZE, SCENE_SIZE

ARCHIVES: Final = ("subscenes", "masks", "alt_masks", "shapefiles", "thumbnails")
SMALLEST: Final = 16
"""Fewest rows and columns that still show three classes and a thumbnail."""
LARGEST: Final = EXTENT // int(PIXEL_SIZE) - 2 * INSET
"""Most rows and columns that fit with their margin into a tile."""
LEVEL: Final = 2  # of deflate: 6 takes half as long again and saves 1 % at most
MOST_WORKERS: Final = 16  # one thread writes what they make
DEFLATED: Final = 0.8  # upper bound of a deflated scene relative to its pixels
PARTIAL: Final = ".partial"

Member = tuple[zipfile.ZipInfo, bytes]
"""A zip entry and its deflated bytes."""


def make_replica(
    directory: str | PathLike[str],
    scenes: int | None = 8,
    *,
    size: int = SCENE_SIZE,
    tags: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = False,
    workers: int | None = None,
) -> Path:
    """Make a catalogue in exactly the published layout, with simulated pixels.

    Parameters
    ----------
    directory : path-like
        Where to make it; must be empty or not exist.
    scenes : int, optional
        How many. None takes all rows of `tags`.
    size : int
        Rows and columns of a subscene; the published ones have 1022.
    tags : path-like, optional
        A `classification_tags.csv` to take the scenes from, spread evenly over it. At the published size the masks
        then have exactly its class counts. By default the scenes are invented; the first eight differ widely.
    seed : int
        The same seed gives the same bytes, another one other pixels.
    progress : bool
        Show a progress bar.
    workers : int, optional
        Threads that render scenes, by default one per core. Each needs about 0.3 GB at the published size.

    Returns
    -------
    pathlib.Path
        The directory: `classification_tags.csv`, which is written last, and five zips.

    Raises
    ------
    CatalogueError
        The directory is not empty, the disk is too small, the table is not as published, or a number is out of range.
        What was begun is then removed.
    """
    if not SMALLEST <= size <= LARGEST:
        raise CatalogueError(f"a scene of {size} pixels cannot be made; choose a size from {SMALLEST} to {LARGEST}")
    workers = min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers
    if workers < 1:
        raise CatalogueError(f"{workers} workers asked for, expected at least 1")
    rows = choose_rows(scenes, size, tags, seed)
    target = Path(directory)
    rendering = contextlib.closing(_in_order(rows, size, seed, workers))
    with _claim(target, len(rows), size) as archives, rendering as rendered:
        for members in track(rendered, "Simulating scenes", len(rows), disable=not progress):
            for name, member in members:
                _append(archives[name], member)
    # Readers take a directory with a table for a whole catalogue.
    partial = target / (FILE_NAME + PARTIAL)
    partial.write_bytes(format_table(rows))
    partial.rename(target / FILE_NAME)
    return target


@contextlib.contextmanager
def _claim(target: Path, scenes: int, size: int) -> Iterator[dict[str, zipfile.ZipFile]]:
    """Open the five archives under temporary names; rename them at the end, or remove them if anything fails."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CatalogueError(f"{target} exists and is not an empty directory; choose another, or empty it")
    target.mkdir(parents=True, exist_ok=True)
    needed = round(scenes * size**2 * 4 * len(BANDS) * DEFLATED)
    free = shutil.disk_usage(target).free
    if needed > free:
        raise CatalogueError(
            f"{scenes} scenes of {size} × {size} pixels take up to {needed / 1e9:.1f} GB, but {target} has "
            f"{free / 1e9:.1f} GB free; ask for fewer or smaller scenes, or use another disk"
        )
    partials = {name: target / f"{name}.zip{PARTIAL}" for name in ARCHIVES}
    try:
        with contextlib.ExitStack() as stack:
            archives = {name: stack.enter_context(zipfile.ZipFile(path, "x")) for name, path in partials.items()}
            for name, archive in archives.items():
                archive.mkdir(_entry(f"{name}/", 0o40755))
            yield archives
        for name, path in partials.items():
            path.rename(target / f"{name}.zip")
    except BaseException:
        for path in partials.values():
            path.unlink(missing_ok=True)
        raise


def _in_order(rows: Iterable[Row], size: int, seed: int, workers: int) -> Generator[list[tuple[str, Member]]]:
    """Render scenes in threads, which NumPy and zlib leave free to run, and yield them in order, few at a time."""
    pending: deque[Future[list[tuple[str, Member]]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for row in rows:
            pending.append(pool.submit(_render, row, size, seed))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _render(row: Row, size: int, seed: int) -> list[tuple[str, Member]]:
    """All members of one scene with the name of their archive, deflated."""
    scene = row.scene
    pixels = simulate_scene(scene, row.tags, row.counts, size, row.shadows_marked, seed)
    members = [
        ("subscenes", _deflate(f"subscenes/{scene}.npy", _npy(pixels.reflectance))),
        ("masks", _deflate(f"masks/{scene}.npy", _npy(_one_hot(pixels.labels)))),
        ("thumbnails", _deflate(f"thumbnails/{scene}.png", _thumbnail(pixels.reflectance))),
    ]
    if row.has_alt_mask:
        members.append(("alt_masks", _deflate(f"alt_masks/{scene}.npy", _npy(_one_hot(pixels.second_labels)))))
    members.append(("shapefiles", (_entry(f"shapefiles/{scene}/", 0o40755), b"")))
    tile = tile_bounds(row.tile)
    for suffix, data in footprint_files(tile.epsg, _outline(scene, tile, size, seed)).items():
        members.append(("shapefiles", _deflate(f"shapefiles/{scene}/{scene}.{suffix}", data)))
    return members


def _one_hot(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return np.asarray(labels[..., None] == np.arange(len(LABELS)))


def _npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _thumbnail(reflectance: npt.NDArray[np.float32]) -> bytes:
    """Quick look in natural colours as PNG: every fourth pixel, reflectance 0.4 white unless the scene is brighter."""
    colours = reflectance[::4, ::4, [BAND_NAMES.index(name) for name in ("B04", "B03", "B02")]]
    white = max(0.4, float(np.percentile(colours, 98)))
    file = io.BytesIO()
    Image.fromarray((np.clip(colours / white, 0, 1) * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _outline(scene: str, tile: Tile, size: int, seed: int) -> tuple[int, int, int, int]:
    """West, south, east and north of a square with the subscene's margin, on the tile's 20 m grid and inside it."""
    pixel = int(PIXEL_SIZE)
    width = (size + 2 * INSET) * pixel
    random = scene_generator(scene, seed).spawn(1)[0]
    right, down = random.integers(0, (EXTENT - width) // pixel, 2, endpoint=True)
    west, north = tile.left + pixel * int(right), tile.top - pixel * int(down)
    return west, north - width, west + width, north


def footprint_files(epsg: int, bounds: tuple[float, float, float, float]) -> dict[str, bytes]:
    """The four files of a footprint as published.

    Parameters
    ----------
    epsg : int
        UTM zone on WGS 84, 326zz or 327zz.
    bounds : tuple of float
        West, south, east and north in metres.

    Returns
    -------
    dict of str to bytes
        By suffix: "shp" and "shx" with one polygon, clockwise from the north-west; "dbf" with only `FID`; "prj".
    """
    west, lower, east, north = bounds
    shp, shx, dbf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with shapefile.Writer(shp=shp, shx=shx, dbf=dbf, shapeType=shapefile.POLYGON) as writer:
        writer.field("FID", "N", size=11)
        writer.poly([[(west, north), (east, north), (east, lower), (west, lower), (west, north)]])
        writer.record(0)
    table = bytearray(dbf.getvalue())
    table[1:4] = (118, 1, 1)  # the date of the last change, which would be today
    south, zone = epsg > 32700, epsg % 100
    prj = (
        f'PROJCS["WGS_1984_UTM_Zone_{zone}{"S" if south else "N"}",GEOGCS["GCS_WGS_1984",'
        'DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]],PRIMEM["Greenwich",0],'
        'UNIT["Degree",0.017453292519943295]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
        f'PARAMETER["central_meridian",{6 * zone - 183}],PARAMETER["scale_factor",0.9996],'
        f'PARAMETER["false_easting",500000],PARAMETER["false_northing",{FALSE_NORTHING * south}],UNIT["Meter",1]]'
    )
    return {"shp": shp.getvalue(), "shx": shx.getvalue(), "dbf": bytes(table), "prj": prj.encode()}


def _entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """Zip entry that does not depend on when and where it is made."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16 | 0x10 * name.endswith("/")
    entry.CRC = 0
    return entry


def _deflate(name: str, data: bytes) -> Member:
    entry = _entry(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush()
    entry.file_size, entry.compress_size, entry.CRC = len(data), len(deflated), zlib.crc32(data)
    return entry, deflated


def _append(archive: zipfile.ZipFile, member: Member) -> None:
    """Add a member that is already deflated; `zipfile` itself would deflate in the thread that writes."""
    entry, deflated = member
    if archive.fp is None:
        raise ValueError("the archive is closed")
    entry.header_offset = archive.start_dir
    archive.fp.seek(archive.start_dir)
    archive.fp.write(entry.FileHeader(zip64=False))
    archive.fp.write(deflated)
    archive.start_dir = archive.fp.tell()
    archive.filelist.append(entry)
    archive.NameToInfo[entry.filename] = entry
