"""Rows of the tag table for a simulated catalogue: invented ones, or some of a given table."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.mgrs import tile_name
from s2cmc_zarr.release.tags import PERCENT_COLUMNS, read_tags
from s2cmc_zarr.schema import CSV_COLUMNS, LABELS, SCENE_SIZE, TAGS

Counts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: its text by column, and the class counts that its percentages stand for."""

    text: dict[str, str]
    counts: Counts

    @property
    def scene(self) -> str:
        """Level-1C product id."""
        return self.text["scene"]

    @property
    def tile(self) -> str:
        """MGRS tile."""
        return self.scene.split("_")[5][1:]

    @property
    def tags(self) -> frozenset[str]:
        """Tags of `schema.TAGS` that are set."""
        return frozenset(tag for tag in TAGS if self.text[tag] == "1")

    @property
    def shadows_marked(self) -> bool:
        """Whether the mask shows cloud shadows."""
        return self.text["shadows_marked"] == "1"

    @property
    def has_alt_mask(self) -> bool:
        """Whether the scene was annotated twice."""
        return self.text["dataset"] != "MAIN"


class Setting(NamedTuple):
    """A place of the Earth and the weather there: UTM zone, latitude band, tags, share of cloud and of its shadow."""

    zone: int
    band: str
    tags: str
    cloud: float
    shadow: float = 0.0  # of the cloud's area
    dataset: str = "MAIN"
    difficulty: int = 3
    shadows_marked: bool = True


SETTINGS: Final = (
    Setting(20, "M", "forest/jungle thick low isolated cumulus", 0.22, 0.35, "VALIDATION"),
    Setting(22, "W", "snow/ice hills/mountains thin thick high extended ice_clouds", 0.40, 0.0, difficulty=4),
    Setting(25, "S", "open_water thick low extended cumulus altocumulus/stratocumulus", 0.60, 0.10),
    Setting(32, "R", "desert/barren", 0.0, difficulty=1),
    Setting(33, "U", "thick low extended cumulus altocumulus/stratocumulus", 1.0, difficulty=1),
    Setting(31, "U", "agricultural urban/developed thick low isolated cumulus", 0.15, 0.50),
    Setting(34, "J", "shrublands/plains thick low isolated cumulus", 0.30, 0.0, difficulty=4, shadows_marked=False),
    Setting(51, "K", "coastal desert/barren enclosed_water thin high isolated cirrus", 0.12, difficulty=5),
    Setting(32, "T", "snow/ice hills/mountains forest/jungle thick low isolated cumulus", 0.20, 0.30, "VALIDATION", 5),
    Setting(15, "V", "wetland/bog/marsh forest/jungle enclosed_water", 0.0, difficulty=2),
    Setting(45, "R", "hills/mountains agricultural thin high isolated cirrus contrails", 0.15, difficulty=4),
    Setting(48, "N", "thick high extended cumulonimbus cirrus", 1.0, difficulty=1),
    Setting(10, "S", "coastal open_water shrublands/plains thin low extended haze/fog", 0.45, 0.0, difficulty=5),
    Setting(55, "H", "agricultural thin thick low high isolated cumulus cirrus", 0.35, 0.25, "CALIBRATION", 4),
    Setting(14, "T", "agricultural", 0.0, difficulty=1),
    Setting(28, "W", "open_water thick low high extended altocumulus/stratocumulus ice_clouds", 1.0, difficulty=1),
)
"""The first eight differ as much as the catalogue does: shadows marked and not, a second mask, snow, water, nothing but
clear, nothing but cloud, and both hemispheres."""
FIRST_DAY: Final = datetime.datetime(2018, 3, 1, tzinfo=datetime.UTC)
DAYS: Final = 240  # from March to October, when the sun reaches high latitudes


def choose_rows(scenes: int | None, size: int, tags: str | PathLike[str] | None, seed: int) -> list[Row]:
    """Choose the scenes of a catalogue.

    Parameters
    ----------
    scenes : int or None
        How many; None, or more than there are, takes all rows of `tags`.
    size : int
        Rows and columns of a scene, for the class counts.
    tags : path-like or None
        A table as published to take rows from, spread evenly over it; None invents them.
    seed : int
        For the invented ones.

    Returns
    -------
    list of Row
        Sorted by product id, `index` numbered from 0. At the published size, the percentages of `tags` are kept as
        they are written; at another one the counts are scaled and the percentages follow from them.

    Raises
    ------
    CatalogueError
        `scenes` is not positive, or missing while no table is given, or the table is not as published.
    """
    if scenes is not None and scenes < 1:
        raise CatalogueError(f"{scenes} scenes asked for, expected at least 1")
    if tags is not None:
        rows = _published(Path(tags), scenes, size)
    elif scenes is None:
        raise CatalogueError("no number of scenes and no tag table given; give one of them")
    else:
        rows = [_invent(number, size, seed) for number in range(scenes)]
    rows.sort(key=lambda row: row.scene)
    for index, row in enumerate(rows):
        row.text["index"] = str(index)
    return rows


def format_table(rows: Sequence[Row]) -> bytes:
    """The tag table as published: LF line ends and no quotes."""
    lines = io.StringIO()
    writer = csv.DictWriter(lines, CSV_COLUMNS, lineterminator="\n", quoting=csv.QUOTE_NONE)
    writer.writeheader()
    writer.writerows(row.text for row in rows)
    return lines.getvalue().encode()


def scale_counts(counts: Counts, pixels: int) -> Counts:
    """Scale class counts to another number of pixels; a class that is there stays there.

    Raises
    ------
    CatalogueError
        There are fewer pixels than classes.
    """
    if pixels < len(counts):
        raise CatalogueError(f"{pixels} pixels cannot show {len(counts)} classes")
    total = sum(counts)
    scaled = [max(round(count * pixels / total), int(count > 0)) for count in counts]
    scaled[int(np.argmax(scaled))] += pixels - sum(scaled)
    clear, cloud, shadow = scaled
    return clear, cloud, shadow


def _percentages(counts: Counts) -> dict[str, str]:
    return {column: repr(100 * n / sum(counts)) for column, n in zip(PERCENT_COLUMNS, counts, strict=True)}


def _published(path: Path, scenes: int | None, size: int) -> list[Row]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogueError(f"cannot read the tag table {path}: {error.strerror}") from None
    counts = read_tags(data, SCENE_SIZE**2)[list(LABELS)]
    rows = []
    for text, (clear, cloud, shadow) in zip(
        csv.DictReader(io.StringIO(data.decode())), counts.to_numpy().tolist(), strict=True
    ):
        row = Row(text, (clear, cloud, shadow))
        if size != SCENE_SIZE:
            row = Row(text, scale_counts(row.counts, size**2))
            text.update(_percentages(row.counts))
        rows.append(row)
    rows.sort(key=lambda row: row.scene)
    chosen = len(rows) if scenes is None else min(scenes, len(rows))
    return [rows[index] for index in np.linspace(0, len(rows) - 1, chosen).round().astype(int)]


def _invent(number: int, size: int, seed: int) -> Row:
    random = np.random.default_rng([seed, number])
    setting = SETTINGS[number % len(SETTINGS)]
    tile = tile_name(setting.zone, setting.band, int(random.integers(3, 7)), int(random.integers(-3, 4)))
    # The satellite passes at about half past ten by the sun; the day and the minute are one of each `number`.
    longitude = 6 * setting.zone - 183
    sensed = FIRST_DAY + datetime.timedelta(
        days=(number * 89) % DAYS + DAYS * (number // DAYS),
        hours=10.5 - longitude / 15,
        seconds=int(random.integers(3600)),
    )
    listed = sensed + datetime.timedelta(seconds=int(random.integers(2 * 3600, 6 * 3600)))
    orbit = int(random.integers(1, 144))
    platform = f"S2{'AB'[int(random.integers(2))]}"
    stamp = "%Y%m%dT%H%M%S"
    scene = f"{platform}_MSIL1C_{sensed:{stamp}}_N0206_R{orbit:03d}_T{tile}_{listed:{stamp}}"

    tags = setting.tags.split()
    pixels = size**2
    share = setting.cloud if setting.cloud in {0, 1} else setting.cloud * random.uniform(0.7, 1.3)
    cloud = round(share * pixels)
    shadow = round(share * setting.shadow * random.uniform(0.7, 1.3) * pixels)
    counts = (pixels - cloud - shadow, cloud, shadow)
    text = {
        "index": str(number),
        "scene": scene,
        "difficulty": str(setting.difficulty),
        "annotator": "AB"[int(random.integers(2))],
        "shadows_marked": str(int(setting.shadows_marked)),
        **_percentages(counts),
        "dataset": setting.dataset,
        **{tag: str(int(tag in tags)) for tag in TAGS},
    }
    return Row(text, counts)
