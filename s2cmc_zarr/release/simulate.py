"""One simulated scene: a mask with given class counts and reflectance that fits it, from the scene's tags.

Nothing here is a radiative transfer model. It is a scene that has what makes cloud masking easy or hard: bright
clouds, thin ones, high ones that shine in B10, shadows beside their clouds, snow that is as bright as a cloud in the
visible and dark in the short-wave infrared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.mgrs import is_southern
from s2cmc_zarr.release.simulate_surface import Field, fractal, slope, surface
from s2cmc_zarr.schema import BANDS, LABELS

CLEAR, CLOUD, CLOUD_SHADOW = range(len(LABELS))


class Layer(NamedTuple):
    """A kind of cloud: whether it is high, its features across the scene, their smoothness, stretch and thickness."""

    high: bool
    cycles: float
    exponent: float
    stretch: float
    depth: float  # optical depth at its labelled edge
    growth: float  # of the optical depth for one standard deviation inwards


LAYERS: Final = {
    "cumulus": Layer(False, 16, 2.3, 1, 3.0, 16),
    "cumulonimbus": Layer(True, 4, 2.5, 1, 4.0, 40),
    "altocumulus/stratocumulus": Layer(False, 9, 2.2, 1.5, 2.5, 9),
    "cirrus": Layer(True, 3, 1.7, 5, 0.6, 1.3),
    "haze/fog": Layer(False, 2, 2.4, 1, 0.9, 1.2),
    "ice_clouds": Layer(True, 3, 2.0, 2, 1.2, 4.0),
    "contrails": Layer(True, 8, 2.6, 40, 0.7, 1.5),
}
"""Optical depths are those that give the look: an edge of 3 reflects 18 %, a core of 40 reflects 75 %."""

ASYMMETRY: Final = 0.85  # of the scattering by cloud droplets in visible light
FRINGE: Final = 0.05  # standard deviations over which a cloud fades outside its labelled edge
#                 B01   B02   B03   B04   B05   B06   B07   B08   B8A   B09   B10    B11   B12
LOW_COLOUR: Final = (1.00, 1.00, 0.99, 0.97, 0.99, 1.01, 1.02, 1.02, 1.03, 0.50, 0.006, 0.80, 0.62)
HIGH_COLOUR: Final = (1.00, 1.00, 0.99, 0.98, 0.99, 1.00, 1.00, 1.00, 1.00, 0.80, 0.500, 0.62, 0.45)
"""Reflectance of a cloud by band relative to the blue: water vapour above takes B09 and B10, ice and droplets take
B11 and B12."""
SHADOW: Final = (0.30, 0.36, 0.45, 0.55, 0.60, 0.64, 0.67, 0.68, 0.70, 0.65, 0.10, 0.72, 0.75)
"""Share of the light that a shadow takes by band: skylight fills it in the blue."""
DISPLACEMENT: Final = (0.04, 0.13)  # of the scene, between a shadow and its low or high cloud
GRAIN: Final = 0.010  # relative standard deviation of the brightness from pixel to pixel
NOISE: Final = 0.0003  # standard deviation of the sensor's noise
DISAGREEMENT: Final = 0.28  # standard deviations by which a second annotator sees a cloud otherwise
QUANTIFICATION: Final = 10_000  # digital numbers of Level-1C for reflectance 1


@dataclass(frozen=True, slots=True)
class Scene:
    """A simulated scene.

    Attributes
    ----------
    reflectance : numpy.ndarray
        Top-of-atmosphere reflectance, float32, shape (size, size, 13): row, column, band.
    labels : numpy.ndarray
        Class of each pixel as in `schema.LABELS`, uint8, shape (size, size).
    second_labels : numpy.ndarray
        What a second annotator would have marked, of the same form.
    """

    reflectance: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    second_labels: npt.NDArray[np.uint8]


def scene_generator(scene: str, seed: int) -> np.random.Generator:
    """Source of randomness of one scene: it depends on the scene's id and the seed and on nothing else."""
    digest = hashlib.sha256(f"{seed} {scene}".encode()).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "big")))


def simulate_scene(
    scene: str,
    tags: Collection[str],
    counts: tuple[int, int, int],
    size: int,
    shadows_marked: bool = True,
    seed: int = 0,
) -> Scene:
    """Simulate a scene.

    Parameters
    ----------
    scene : str
        Level-1C product id; its tile says on which side the shadows fall.
    tags : collection of str
        Tags of `schema.TAGS` that the scene has.
    counts : tuple of int
        Pixels of each class in the order of `schema.LABELS`; the mask has exactly these.
    size : int
        Rows and columns.
    shadows_marked : bool
        If false, clouds also cast shadows that are labelled clear.
    seed : int
        Another seed gives another scene of the same kind.

    Returns
    -------
    Scene
        The scene.

    Raises
    ------
    CatalogueError
        The counts are not those of `size` × `size` pixels.
    """
    if sum(counts) != size**2 or min(counts) < 0:
        raise CatalogueError(f"class counts {counts} of {scene}: expected none below 0 and {size**2} in all")
    random = scene_generator(scene, seed)
    sun = _sun(random, scene)
    sky = _sky(random, size, tags)
    cloudiness = np.maximum.reduce([field for _, field in sky])
    shadiness = np.maximum.reduce([_displace(field, sun, layer.high) for layer, field in sky])
    labels = _label(cloudiness, shadiness, counts)

    shaded = counts[CLOUD_SHADOW]
    if not shadows_marked:
        shaded += min(counts[CLEAR], counts[CLOUD]) // 3
    threshold = _top(cloudiness, counts[CLOUD])
    dark = _darkness(np.where(labels == CLOUD, -np.inf, shadiness).astype(np.float32), shaded)
    reflectance = _reflectance(random, size, tags, sun, sky, threshold, dark)
    return Scene(reflectance, labels, _second_opinion(random, cloudiness, shadiness, counts))


def _sun(random: np.random.Generator, scene: str) -> tuple[float, float]:
    """Unit vector (row, column) towards the sun: south-east in the north of the globe, north-east in the south."""
    azimuth = random.uniform(np.radians(30), np.radians(65))
    south = is_southern(scene.split("_T")[1][2])
    return (-1.0 if south else 1.0) * float(np.cos(azimuth)), float(np.sin(azimuth))


def _sky(random: np.random.Generator, size: int, tags: Collection[str]) -> list[tuple[Layer, Field]]:
    """Layers of clouds that the tags name, each with its cloudiness."""
    kinds = [kind for kind in LAYERS if kind in tags]
    if not kinds:
        kinds = ["cirrus" if "high" in tags and "low" not in tags else "cumulus"]
    sky = []
    for kind in kinds:
        layer = LAYERS[kind]
        if "extended" in tags and "isolated" not in tags:
            layer = layer._replace(cycles=layer.cycles / 2.5)
        if "thick" in tags and "thin" not in tags:
            layer = layer._replace(depth=max(layer.depth, 2.5), growth=max(layer.growth, 8))
        if "thin" in tags and "thick" not in tags:
            layer = layer._replace(depth=min(layer.depth, 1.0), growth=min(layer.growth, 1.3))
        field = fractal(random, size, layer.cycles, layer.exponent, layer.stretch, random.uniform(0, np.pi))
        sky.append((layer, field))
    return sky


def _displace(field: Field, sun: tuple[float, float], high: bool) -> Field:
    distance = DISPLACEMENT[high] * len(field)
    return np.roll(field, (-round(sun[0] * distance), -round(sun[1] * distance)), (0, 1))


def _top(field: Field, count: int) -> float:
    """Value that `count` pixels reach; infinite for none."""
    return float(np.partition(field, field.size - count, axis=None)[field.size - count]) if count else np.inf


def _label(cloudiness: Field, shadiness: Field, counts: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Mark the cloudiest pixels cloud and the shadiest of the others shadow, to the pixel."""
    pixels = cloudiness.size
    labels = np.full(pixels, CLEAR, np.uint8)
    order = np.argpartition(cloudiness, min(pixels - counts[CLOUD], pixels - 1), axis=None)
    labels[order[pixels - counts[CLOUD] :]] = CLOUD
    rest = order[: pixels - counts[CLOUD]]
    if counts[CLOUD_SHADOW]:
        lit = len(rest) - counts[CLOUD_SHADOW]
        labels[rest[np.argpartition(shadiness.ravel()[rest], lit)[lit:]]] = CLOUD_SHADOW
    return labels.reshape(cloudiness.shape)


def _darkness(shadiness: Field, count: int) -> Field:
    """How deep the shadow is, 0 to 1; the `count` shadiest pixels have any."""
    excess = shadiness - np.float32(_top(shadiness, count))
    return np.clip(0.45 + 2.5 * excess, 0, 1, out=excess) * (excess > 0.4499)


def _second_opinion(
    random: np.random.Generator, cloudiness: Field, shadiness: Field, counts: tuple[int, int, int]
) -> npt.NDArray[np.uint8]:
    """Mask of a second annotator, who sees edges elsewhere and misses the thinnest of the clouds."""
    doubt = np.float32(DISAGREEMENT) * fractal(random, len(cloudiness), 20, 1.8)
    missed = round(counts[CLOUD] * random.uniform(0.0, 0.06))
    unshaded = round(counts[CLOUD_SHADOW] * random.uniform(0.0, 0.3))
    revised = (counts[CLEAR] + missed + unshaded, counts[CLOUD] - missed, counts[CLOUD_SHADOW] - unshaded)
    return _label(cloudiness + doubt, shadiness + doubt, revised)


def _albedo(depth: Field) -> Field:
    """Reflectance of a cloud that absorbs nothing by its optical depth, in the two-stream approximation.

    (1 − g) τ / (2 + (1 − g) τ), as in Petty, *A First Course in Atmospheric Radiation*, 2nd edition, chapter 13.
    """
    depth = depth * np.float32(1 - ASYMMETRY)
    return depth / (2 + depth)


def _reflectance(
    random: np.random.Generator,
    size: int,
    tags: Collection[str],
    sun: tuple[float, float],
    sky: list[tuple[Layer, Field]],
    threshold: float,
    dark: Field,
) -> npt.NDArray[np.float32]:
    """Ground, shadows, low clouds and high clouds seen through one another, with grain and noise."""
    spectra, weights = surface(random, size, tags, sun)
    levels = []
    for high in (False, True):
        depth = np.zeros((size, size), np.float32)
        for layer, field in sky:
            if layer.high == high and np.isfinite(threshold):
                excess = field - np.float32(threshold)
                depth += np.float32(layer.depth) * np.exp(np.minimum(excess, 0) / np.float32(FRINGE))
                depth += np.float32(layer.growth) * np.maximum(excess, 0)
        if depth.any():
            albedo = _albedo(depth)
            # The sides of a cloud that face the sun are brighter than a flat cloud, up to beyond 1.
            lit = 1 + np.float32(0.12) * np.clip(slope(np.log1p(depth), sun), -3, 4) * albedo
            levels.append((albedo, lit, HIGH_COLOUR if high else LOW_COLOUR))
    grain = 1 + np.float32(GRAIN) * random.standard_normal((size, size), dtype=np.float32)

    reflectance = np.empty((size, size, len(BANDS)), np.float32)
    for index, band in enumerate(BANDS):
        signal = np.einsum("m,mij->ij", spectra[:, index], weights)
        signal *= 1 - np.float32(SHADOW[index]) * dark
        for albedo, lit, colour in levels:
            # Light crosses the cloud twice and bounces between it and what lies below (the adding method).
            signal *= (1 - albedo) ** 2 / (1 - albedo * np.minimum(signal, 0.9))
            signal += albedo * lit * np.float32(colour[index])
        signal *= grain
        reflectance[:, :, index] = _sample(random, signal, band.native_resolution)
    return reflectance


def _sample(random: np.random.Generator, signal: Field, resolution: int) -> Field:
    """Reflectance on the 20 m grid of a band that was acquired, and stored as digital numbers, at `resolution`."""
    size = len(signal)
    if resolution == 60:
        padding = -size % 3
        padded = np.pad(signal, (0, padding), mode="edge")
        coarse = padded.reshape(len(padded) // 3, 3, -1, 3).mean(axis=(1, 3))
        return _magnify(_digitise(random, coarse, QUANTIFICATION), size) / np.float32(9 * QUANTIFICATION)
    # The bilinear value between four 10 m pixels is their mean: a quarter of a whole number.
    steps = QUANTIFICATION * (20 // resolution) ** 2
    return _digitise(random, signal, steps) / np.float32(steps)


def _digitise(random: np.random.Generator, signal: Field, steps: int) -> Field:
    """Whole numbers of 1/`steps` with the sensor's noise; never 0, which means no data in Level-1C."""
    noisy = signal + np.float32(NOISE) * random.standard_normal(signal.shape, dtype=np.float32)
    return np.maximum(np.rint(noisy * np.float32(steps)), 1)


def _magnify(coarse: Field, size: int) -> Field:
    """Nine times the bilinear values on `size` × `size` pixels of 20 m between pixels of 60 m: whole numbers again."""
    third = np.clip(np.arange(size) - 1, 0, 3 * (len(coarse) - 1))
    lower = np.minimum(third // 3, len(coarse) - 2)
    upper = (third - 3 * lower).astype(np.float32)
    rows = coarse[lower] * (3 - upper)[:, None] + coarse[lower + 1] * upper[:, None]
    return np.asarray(rows[:, lower] * (3 - upper) + rows[:, lower + 1] * upper)
