"""The release as it lies in a folder or bucket: what is there, what is lacking, what is wrong, and its arrays."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from s2cmc_zarr import storage
from s2cmc_zarr.choices import OnDefect as OnDefect
from s2cmc_zarr.choices import split_names
from s2cmc_zarr.errors import CatalogueError, DefectError, suggestion
from s2cmc_zarr.release import inspection, zenodo
from s2cmc_zarr.release import tags as tag_table
from s2cmc_zarr.release.archive import Member, Reader, fingerprint
from s2cmc_zarr.release.footprints import Footprint
from s2cmc_zarr.release.inspection import Defects
from s2cmc_zarr.release.listing import list_members
from s2cmc_zarr.release.masks import count_labels, decode_mask
from s2cmc_zarr.release.npy import HEADER_LIMIT, read_array, read_rows
from s2cmc_zarr.release.thumbnails import FILE_LIMIT, decode_thumbnail
from s2cmc_zarr.schema import BAND_NAMES, LABELS, SCENE_SIZE, UNLABELLED


@dataclass(frozen=True)
class Release:
    """What a source holds of the catalogue; picklable, reads nothing until asked.

    Attributes
    ----------
    fs : fsspec.AbstractFileSystem
    size : tuple of int
        Rows and columns of a scene.
    thumbnail_size : tuple of int or None
        Rows and columns of a thumbnail; None if the release has none.
    table : pandas.DataFrame
        The tag table (see `tags.read_tags`) of the scenes that are there.
    members : mapping
        For ``subscenes``, ``masks``, ``alt_masks`` and ``thumbnails``, where the release has them: member by scene id.
    footprints : mapping or None
        Footprint by scene id; None if the release has none.
    lacking : tuple of str
        What of the published catalogue is not there.
    defects : mapping
        What is wrong, by scene id.
    on_defect : str
        ``"raise"``, ``"skip"`` or ``"mark"``.
    digests : mapping
        SHA-256 of the tag table, and for each other component the fingerprint of its listing.
    bands : tuple of str
        Bands of a subscene that are given, in the schema's order.
    """

    fs: fsspec.AbstractFileSystem
    size: tuple[int, int]
    thumbnail_size: tuple[int, int] | None
    table: pd.DataFrame
    members: dict[str, dict[str, Member]]
    footprints: Mapping[str, Footprint] | None
    lacking: tuple[str, ...]
    defects: Mapping[str, list[str]]
    on_defect: OnDefect
    digests: Mapping[str, str]
    bands: tuple[str, ...] = BAND_NAMES

    @classmethod
    def open(
        cls,
        source: str,
        *,
        on_defect: OnDefect = "raise",
        storage_options: Mapping[str, Any] | None = None,
    ) -> Release:
        """Take stock of a source: list it, parse tags and footprints, compare all ids and sizes.

        What is wrong with single scenes is noted in `defects`; `examine` does something about it.

        Parameters
        ----------
        source : str
            Folder of the release at any fsspec URL, ``zenodo:`` for the published record, or the tag table alone: a
            ``.csv`` file.
        on_defect : {"raise", "skip", "mark"}
            What `examine` does about a scene with defects; see `s2cmc_zarr.open_release`.
        storage_options : mapping, optional
            For fsspec.

        Raises
        ------
        CatalogueError
            If the source is no release.
        DefectError
            If no array tells the size of a scene.
        """
        if on_defect not in ("raise", "skip", "mark"):
            raise CatalogueError(f"on_defect is {on_defect!r}, expected 'raise', 'skip' or 'mark'")
        fs, root = zenodo.open_source(str(source), storage_options)
        csv = _read_table(fs, root, str(source))
        components = () if root.endswith(".csv") else inspection.COMPONENTS
        listing = {component: list_members(fs, root, component) for component in components}
        found = {name: members for name, members in listing.items() if members is not None}
        defects: Defects = defaultdict(list)
        by_scene = {name: inspection.by_scene(defects, name, members) for name, members in found.items()}
        size = inspection.scene_size(fs, by_scene)
        thumbnail_size = inspection.thumbnail_size(fs, by_scene)
        published = hashlib.md5(csv, usedforsecurity=False).hexdigest() == tag_table.PUBLISHED_MD5
        if published and size != (SCENE_SIZE, SCENE_SIZE):
            raise CatalogueError(f"scenes have {size[0]} × {size[1]} pixels, those of the published table 1022 × 1022")
        table = tag_table.read_tags(csv, size[0] * size[1])

        present, lacking = inspection.present_scenes(table, by_scene)
        inspection.compare_ids(defects, table, by_scene)
        inspection.compare_sizes(defects, by_scene, size)
        footprints = None
        if "shapefiles" in by_scene:
            footprints = inspection.read_footprints(fs, defects, table, by_scene.pop("shapefiles"), size)
        digests = {name: fingerprint(members.values()) for name, members in found.items()}
        digests[tag_table.FILE_NAME] = hashlib.sha256(csv).hexdigest()
        return cls(
            fs,
            size,
            thumbnail_size,
            table.loc[present],
            by_scene,
            footprints,
            lacking,
            dict(defects),
            on_defect,
            digests,
        )

    def examine(self, scenes: Iterable[str] | None = None) -> Release:
        """Give the release with some of its scenes, or all, and do about their defects what `on_defect` says.

        Skipping and marking read the masks of these scenes. Defects of other scenes do not matter, nor do ids that the
        tag table does not know, if scenes are chosen.

        Raises
        ------
        DefectError
            If there are defects and `on_defect` is ``"raise"``, or all scenes have defects and are to be skipped.
        """
        chosen = {*self.table.index, *self.defects} if scenes is None else set(scenes)
        defects: Defects = defaultdict(list)
        defects |= {scene: list(problems) for scene, problems in self.defects.items() if scene in chosen}
        members = {component: dict(found) for component, found in self.members.items()}
        table = self.table[self.table.index.isin(chosen)]
        release = replace(self, table=table, members=members, defects=defects)
        if self.on_defect == "raise":
            if defects:
                raise DefectError(describe_defects(defects))
            return release
        release._find_mask_defects(defects)
        if self.on_defect == "skip":
            release = replace(release, table=table.drop(index=[*defects], errors="ignore"))
            if defects and release.table.empty:
                raise DefectError(f"no scene is left to go on with: {describe_defects(defects)}")
        return replace(release, defects=dict(defects))

    def select(self, scenes: list[str]) -> Release:
        """Give the release with some of its scenes."""
        return replace(self, table=self.table.loc[scenes])

    def select_bands(self, bands: str | Iterable[str]) -> Release:
        """Give the release with some of its bands; raises `CatalogueError` for a name that is none."""
        wanted = set(split_names(bands))
        if unknown := sorted(wanted - set(BAND_NAMES)):
            raise CatalogueError(
                f"{unknown[0]!r} is no band; choose from: {', '.join(BAND_NAMES)}{suggestion(unknown[0], BAND_NAMES)}"
            )
        if not wanted:
            raise CatalogueError(f"no bands are named; choose from: {', '.join(BAND_NAMES)}")
        return replace(self, bands=tuple(band for band in BAND_NAMES if band in wanted))

    def read_subscene(self, scene: str, digest: hashlib._Hash | None = None) -> npt.NDArray[np.float32]:
        """Read the bands of a subscene: float32, shape (band, row, column), C order.

        A few rows at a time are inflated, digested and transposed, so that they do not leave the processor's cache.

        Parameters
        ----------
        scene : str
        digest : hash object, optional
            Updated with the values as they were released: little-endian, in the order (row, column, band).

        Raises
        ------
        DefectError
            If the member is damaged or its array is not as published.
        """
        member = self._member("subscenes", scene)
        shape = (*self.size, len(BAND_NAMES))
        pieces = member.pieces(self.fs, math.prod(shape) * 4 + HEADER_LIMIT)
        subscene = np.empty((len(self.bands), *self.size), dtype=np.float32)
        chosen = [BAND_NAMES.index(band) for band in self.bands]
        row = 0
        for rows in read_rows(pieces, member.name, shape, ("<f4",)):
            block = rows if self.bands == BAND_NAMES else np.ascontiguousarray(rows[..., chosen])
            if digest is not None:
                digest.update(block.data)
            subscene[:, row : row + len(block)] = block.transpose(2, 0, 1)
            row += len(block)
        return subscene

    def read_mask(self, scene: str, component: str = "masks", reader: Reader | None = None) -> npt.NDArray[np.uint8]:
        """Read a mask: uint8 labels, shape (row, column), 255 where a pixel has not exactly one class.

        Raises
        ------
        DefectError
            If the member is damaged or its array is not as published; also, unless defects are marked or skipped,
            if a pixel has not exactly one class or the counts contradict the tag table.
        """
        member = self._member(component, scene)
        labels = self._decode_mask(member, reader)
        if self.on_defect == "raise" and (problems := self._mask_problems(member, scene, component, labels)):
            raise DefectError(describe_defects({scene: problems}))
        return labels

    def read_thumbnail(self, scene: str) -> npt.NDArray[np.uint8]:
        """Read a thumbnail: uint8, shape (row, column, RGB).

        Raises
        ------
        DefectError
            If it is not an image, or has another size than the first.
        """
        member = self._member("thumbnails", scene)
        thumbnail = decode_thumbnail(member.read(self.fs, FILE_LIMIT), member.name)
        if thumbnail.shape[:2] != self.thumbnail_size:
            found, expected = (" × ".join(map(str, size or ())) for size in (thumbnail.shape[:2], self.thumbnail_size))
            raise DefectError(f"{member.name}: {found} pixels, expected {expected} as the first")
        return thumbnail

    def check_masks(self) -> None:
        """Read every mask, unless `examine` has done so, and raise `DefectError` if anything is wrong with any."""
        if self.on_defect == "raise":
            defects: Defects = defaultdict(list)
            self._find_mask_defects(defects)
            if defects:
                raise DefectError(describe_defects(defects))

    def _find_mask_defects(self, defects: Defects) -> None:
        """Read every mask; add to `defects` what is wrong, and drop from `members` what cannot be read."""
        for component in ("masks", "alt_masks"):
            found = self.members.get(component, {})
            scenes = [scene for scene in found if scene in self.table.index]
            reader = Reader(self.fs, (found[scene] for scene in scenes))

            def examine(scene: str, component: str = component, reader: Reader = reader) -> tuple[bool, list[str]]:
                member = self.members[component][scene]
                try:
                    return True, self._mask_problems(member, scene, component, self._decode_mask(member, reader))
                except DefectError as error:
                    return False, [str(error)]

            with ThreadPoolExecutor() as pool:
                examined = list(pool.map(examine, scenes))
            for scene, (readable, problems) in zip(scenes, examined, strict=True):
                if problems:
                    defects[scene] += problems
                if not readable:
                    del found[scene]

    def _member(self, component: str, scene: str) -> Member:
        try:
            return self.members[component][scene]
        except KeyError:
            raise DefectError(f"{scene}: the release has nothing in {component} for this scene") from None

    def _decode_mask(self, member: Member, reader: Reader | None = None) -> npt.NDArray[np.uint8]:
        shape = (*self.size, len(LABELS))
        limit = math.prod(shape) + HEADER_LIMIT
        data = reader.read(member, limit) if reader else member.read(self.fs, limit)
        return decode_mask(read_array(data, member.name, shape, ("|b1", "|u1")), member.name)

    def _mask_problems(self, member: Member, scene: str, component: str, labels: npt.NDArray[np.uint8]) -> list[str]:
        problems = []
        unlabelled = labels == UNLABELLED
        if number := int(unlabelled.sum()):
            row, column = np.argwhere(unlabelled)[0]
            problems.append(
                f"{member.name}: {number:,} pixels without exactly one class, the first in row {row}, column {column}"
            )
        if component == "masks":
            counted = count_labels(labels)
            for label, count in zip(LABELS, counted, strict=True):
                tabled = int(self.table[label].loc[scene])
                if count != tabled and not (number and 0 < tabled - count <= number):
                    problems.append(f"{member.name}: {count:,} {label} pixels, but the tag table says {tabled:,}")
        return problems


def describe_defects(defects: Mapping[str, Iterable[str]], limit: int = 20) -> str:
    """Put defects into words: a line each, at most `limit` scenes, and what can be done."""
    lines = [f"{len(defects)} scene(s) contradict the published layout or the tag table:"]
    for number, (scene, problems) in enumerate(defects.items()):
        if number == limit:
            lines.append(f"  … and {len(defects) - limit} more")
            break
        lines += [f"  {scene}: {problem}" for problem in problems]
    lines.append(
        "Choose on_defect='skip' (--on-defect skip) to leave these scenes out, "
        "or 'mark' to keep them with what is wrong marked."
    )
    return "\n".join(lines)


def table_path(root: str) -> str:
    """Path of the tag table: in the folder of the release, or what was given if that is a ``.csv`` file."""
    if root.endswith(".csv"):
        return root
    return f"{root}/{tag_table.FILE_NAME}" if root else tag_table.FILE_NAME


def _read_table(fs: fsspec.AbstractFileSystem, root: str, source: str) -> bytes:
    path = table_path(root)
    try:
        size = storage.size(fs, path)
    except FileNotFoundError:
        if path == root:
            raise CatalogueError(
                f"{source} is not there; expected the tag table of the catalogue{storage.surroundings(source)}"
            ) from None
        raise CatalogueError(
            f"{source}: no {tag_table.FILE_NAME} there; expected the folder that holds the release "
            f"(the CSV, and {', '.join(inspection.COMPONENTS)} as .zip files or folders){storage.surroundings(source)}"
        ) from None
    if size > tag_table.SIZE_LIMIT:
        raise CatalogueError(f"{path}: {size:,} bytes, expected about 78 thousand")
    return storage.read(fs, path)
