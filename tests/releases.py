"""A small release written plainly with NumPy, zipfile and text, to be read, broken and converted by tests."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from s2cmc_zarr.schema import CSV_COLUMNS, TAGS

SCENES = (
    "S2A_MSIL1C_20180101T010721_N0206_R045_T53HLD_20180101T041600",
    "S2A_MSIL1C_20180101T074231_N0206_R049_T37LDJ_20180101T111527",
    "S2A_MSIL1C_20180102T084341_N0206_R064_T36TVP_20180102T110333",
    "S2A_MSIL1C_20180107T111431_N0206_R137_T31VEE_20180107T130945",
    "S2B_MSIL1C_20180205T073059_N0206_R049_T37LDL_20180205T111142",
)
PRJ = (
    'PROJCS["WGS_1984_UTM_Zone_{zone}{hemisphere}",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",'
    '6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["Degree",0.017453292519943295]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",{meridian}],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],PARAMETER["false_northing",{northing}],'
    'UNIT["Meter",1]]'
)


@dataclass
class PlainRelease:
    """Everything that a release holds, as plain values that a test may change before it is written."""

    size: int = 32
    scenes: tuple[str, ...] = SCENES
    rows: list[dict[str, object]] = field(default_factory=list)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    subscenes: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    labels: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    alt_labels: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    thumbnails: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = np.random.default_rng(7)
        self.files = {name: {} for name in ("subscenes", "masks", "alt_masks", "shapefiles", "thumbnails")}
        for number, scene in enumerate(self.scenes):
            labels = random.integers(0, 3 if number != 1 else 2, (self.size, self.size)).astype(np.uint8)
            if number == 0:
                labels[:] = 1
            subscene = random.uniform(0, 1.9, (self.size, self.size, 13)).astype(np.float32)
            self.subscenes[scene], self.labels[scene] = subscene, labels
            self.files["subscenes"][f"{scene}.npy"] = npy(subscene)
            self.files["masks"][f"{scene}.npy"] = npy(one_hot(labels))
            if number in (1, 3):
                self.alt_labels[scene] = np.roll(labels, 1, axis=0)
                self.files["alt_masks"][f"{scene}.npy"] = npy(one_hot(self.alt_labels[scene]))
            self.files["shapefiles"] |= footprint(scene, 450440.0 + 20 * number, 9060100.0, self.size)
            self.thumbnails[scene] = random.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            stream = io.BytesIO()
            Image.fromarray(self.thumbnails[scene]).save(stream, "PNG")
            self.files["thumbnails"][f"{scene}.png"] = stream.getvalue()
            self.rows.append(self._row(number, scene, labels))

    def _row(self, number: int, scene: str, labels: npt.NDArray[np.uint8]) -> dict[str, object]:
        clear, cloud, shadow = (100 * int((labels == value).sum()) / labels.size for value in range(3))
        row: dict[str, object] = {
            "index": number,
            "scene": scene,
            "difficulty": number % 5 + 1,
            "annotator": "AB"[number % 2],
            "shadows_marked": int(number != 1),
            "clear_percent": clear,
            "cloud_percent": cloud,
            "shadow_percent": shadow,
            "dataset": "VALIDATION" if number in (1, 3) else "MAIN",
        }
        return row | {tag: int((number + position) % 3 == 0) for position, tag in enumerate(TAGS)}

    def csv(self) -> bytes:
        lines = [",".join(CSV_COLUMNS), *(",".join(str(row[name]) for name in CSV_COLUMNS) for row in self.rows)]
        return ("\n".join(lines) + "\n").encode()

    def write(self, folder: Path, unpacked: tuple[str, ...] = (), method: int = zipfile.ZIP_DEFLATED) -> Path:
        """Write each component as a zip, or as a folder if it is named in `unpacked`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "classification_tags.csv").write_bytes(self.csv())
        for component, files in self.files.items():
            names = {
                name: f"{component}/{name[:60]}/{name}" if component == "shapefiles" else f"{component}/{name}"
                for name in files
            }
            if component in unpacked:
                for name, content in files.items():
                    path = folder / names[name]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
            elif files:
                with zipfile.ZipFile(folder / f"{component}.zip", "w", method) as archive:
                    archive.writestr(f"{component}/", "")
                    for name, content in files.items():
                        archive.writestr(names[name], content)
        return folder


def npy(array: npt.NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def one_hot(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return np.stack([labels == 0, labels == 1, labels == 2], axis=-1)


def footprint(scene: str, west: float, north: float, size: int) -> dict[str, bytes]:
    """The .shp and .prj of a scene, byte by byte after the ESRI Shapefile Technical Description (1998)."""
    east, south = west + 20 * (size + 130), north - 20 * (size + 130)
    box = struct.pack("<4d", west, south, east, north)
    ring = [(west, north), (east, north), (east, south), (west, south), (west, north)]
    content = struct.pack("<i", 5) + box + struct.pack("<3i", 1, 5, 0) + b"".join(struct.pack("<2d", *p) for p in ring)
    record = struct.pack(">2i", 1, len(content) // 2) + content
    header = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + len(record)) // 2) + struct.pack("<2i", 1000, 5)
    tile = scene.split("_T")[1][:5]
    zone, south_of_equator = int(tile[:2]), tile[2] < "N"
    prj = PRJ.format(
        zone=zone,
        hemisphere="S" if south_of_equator else "N",
        meridian=6 * zone - 183,
        northing=10_000_000 if south_of_equator else 0,
    )
    return {f"{scene}.shp": header + box + bytes(32) + record, f"{scene}.prj": prj.encode()}
