"""Simulated ground as Sentinel-2 sees it from space: materials, their patterns and the relief."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
"""A map of (row, column)."""

SPECTRA: Final = {
    #           B01   B02   B03   B04   B05   B06   B07   B08   B8A   B09   B10   B11   B12
    "forest": (0.110, 0.080, 0.066, 0.040, 0.070, 0.185, 0.235, 0.229, 0.260, 0.085, 0.001, 0.115, 0.050),
    "crop": (0.118, 0.092, 0.088, 0.058, 0.105, 0.260, 0.330, 0.320, 0.355, 0.125, 0.001, 0.190, 0.095),
    "soil": (0.130, 0.115, 0.120, 0.142, 0.165, 0.185, 0.200, 0.205, 0.225, 0.090, 0.002, 0.270, 0.215),
    "shrub": (0.122, 0.103, 0.103, 0.108, 0.140, 0.190, 0.215, 0.220, 0.240, 0.095, 0.001, 0.245, 0.165),
    "desert": (0.175, 0.180, 0.225, 0.315, 0.345, 0.365, 0.380, 0.385, 0.405, 0.190, 0.002, 0.480, 0.425),
    "urban": (0.142, 0.130, 0.128, 0.135, 0.152, 0.178, 0.195, 0.200, 0.212, 0.092, 0.001, 0.205, 0.175),
    "wetland": (0.112, 0.085, 0.078, 0.060, 0.082, 0.135, 0.160, 0.165, 0.180, 0.065, 0.001, 0.105, 0.058),
    "lake": (0.108, 0.080, 0.060, 0.040, 0.036, 0.027, 0.025, 0.022, 0.021, 0.009, 0.001, 0.012, 0.008),
    "ocean": (0.105, 0.076, 0.046, 0.025, 0.022, 0.020, 0.019, 0.017, 0.016, 0.008, 0.001, 0.009, 0.006),
    "snow": (0.840, 0.850, 0.845, 0.840, 0.825, 0.810, 0.795, 0.790, 0.760, 0.330, 0.003, 0.085, 0.065),
}
"""Top-of-atmosphere reflectance by material: "forest" is the mean of real pixels, the others are typical values."""


class Cover(NamedTuple):
    """How a surface tag covers the ground: its material, how much of it, and its brightness from place to place."""

    material: str
    bias: float  # of its field in standard deviations: larger covers more
    roughness: float  # relative standard deviation of the brightness


COVERS: Final = {
    "forest/jungle": Cover("forest", 0.3, 0.10),
    "snow/ice": Cover("snow", 0.8, 0.05),
    "agricultural": Cover("crop", 0.4, 0.06),
    "urban/developed": Cover("urban", -0.6, 0.22),
    "coastal": Cover("ocean", 0.3, 0.02),
    "desert/barren": Cover("desert", 0.3, 0.07),
    "shrublands/plains": Cover("shrub", 0.2, 0.10),
    "wetland/bog/marsh": Cover("wetland", 0.0, 0.15),
    "open_water": Cover("ocean", 0.5, 0.02),
    "enclosed_water": Cover("lake", -1.0, 0.02),
}
WATER: Final = frozenset({"ocean", "lake"})
RELIEF: Final = 0.28  # relative brightness of a slope of one standard deviation that faces the sun


def fractal(
    random: np.random.Generator,
    size: int,
    cycles: float,
    exponent: float = 2.0,
    stretch: float = 1.0,
    bearing: float = 0.0,
) -> Field:
    """Draw a random field with a power-law spectrum, as clouds and terrain have.

    Parameters
    ----------
    random : numpy.random.Generator
        Source of randomness.
    size : int
        Rows and columns.
    cycles : float
        Features across the scene: the spectrum is flat below this wavenumber and falls beyond it.
    exponent : float
        Fall of the amplitude with the wavenumber: the larger, the smoother.
    stretch : float
        How many times longer than wide the features are.
    bearing : float
        Angle in radians in which they are stretched.

    Returns
    -------
    numpy.ndarray
        float32, shape (size, size), mean 0, standard deviation 1, periodic at the edges.
    """
    spectrum = np.fft.rfft2(random.standard_normal((size, size), dtype=np.float32))
    v = (np.fft.fftfreq(size) * size).astype(np.float32)[:, None]
    u = (np.fft.rfftfreq(size) * size).astype(np.float32)[None, :]
    along = (u * np.float32(np.cos(bearing)) + v * np.float32(np.sin(bearing))) * np.float32(stretch)
    across = v * np.float32(np.cos(bearing)) - u * np.float32(np.sin(bearing))
    spectrum *= (along**2 + across**2 + np.float32(cycles**2)) ** np.float32(-exponent / 2)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    field /= field.std()
    return field


def slope(field: Field, sun: tuple[float, float]) -> Field:
    """How much a relief faces the sun, mean about 0, standard deviation 1; `sun` is (row, column) towards it."""
    reach = max(1, len(field) // 250)  # a slope between neighbouring pixels of a fractal would be noise
    rise = np.float32(sun[0]) * (field - np.roll(field, reach, 0))
    rise += np.float32(sun[1]) * (field - np.roll(field, reach, 1))
    rise /= -max(float(rise.std()), 1e-6)
    return rise


def _parcels(random: np.random.Generator, size: int, cycles: float) -> Field:
    """Fields of farmland: strips in a random direction, each cut at its own places; one random number a parcel."""
    bearing = random.uniform(0, np.pi)
    row, column = np.ogrid[:size, :size]
    scale = cycles / size
    across = (column * np.cos(bearing) + row * np.sin(bearing)) * scale
    along = (row * np.cos(bearing) - column * np.sin(bearing)) * scale
    strip = np.floor(across).astype(np.int32) % 64
    length = random.uniform(0.25, 0.7, 64).astype(np.float32)
    start = random.uniform(0, 64, 64).astype(np.float32)
    parcel = (along * length[strip] + start[strip]).astype(np.int32) % 64
    shade = random.random((64, 64), dtype=np.float32)
    return np.asarray(shade[strip, parcel])


def surface(
    random: np.random.Generator, size: int, tags: Collection[str], sun: tuple[float, float]
) -> tuple[Field, Field]:
    """Draw the ground below a scene.

    Parameters
    ----------
    random : numpy.random.Generator
        Source of randomness.
    size : int
        Rows and columns.
    tags : collection of str
        Tags of the scene; those that name no surface are ignored, and plains stand in where none does.
    sun : tuple of float
        Unit vector (row, column) towards the sun.

    Returns
    -------
    spectra : numpy.ndarray
        float32, shape (material, band): reflectance of each material.
    weights : numpy.ndarray
        float32, shape (material, row, column): share of each material times its brightness.
    """
    covers = [COVERS[tag] for tag in COVERS if tag in tags]
    if not {cover.material for cover in covers} - {"lake"} or ("coastal" in tags and len(covers) == 1):
        covers.append(COVERS["shrublands/plains"])
    relief = fractal(random, size, 5, 2.7) if "hills/mountains" in tags else None

    fields = []
    for cover in covers:
        if relief is not None and cover.material in {"snow", *WATER}:
            # Snow lies on the summits and water in the valleys.
            field = relief if cover.material == "snow" else -relief
        elif len(covers) > 1:
            field = fractal(random, size, 14 if cover.material in {"lake", "urban", "wetland"} else 2.5, 2.0)
        else:
            field = np.zeros((size, size), np.float32)
        fields.append(field + np.float32(cover.bias))
    weights = np.stack(fields)
    weights -= weights.max(axis=0)
    weights *= 40  # sharpness: neighbouring materials mix over a few pixels
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=0)

    texture = fractal(random, size, 12, 1.6)
    shade = None if relief is None else np.clip(1 + np.float32(RELIEF) * slope(relief, sun), 0.35, 1.8)
    spectra = [SPECTRA[cover.material] for cover in covers]
    for index, cover in enumerate(covers):
        weights[index] *= np.maximum(1 + np.float32(cover.roughness) * texture, 0.3)
        if cover.material == "urban":
            # Blocks of houses: bright and dark roofs side by side.
            weights[index] *= 0.6 + 0.8 * _parcels(random, size, 150)
        if shade is not None and cover.material not in WATER:
            weights[index] *= shade
    if "agricultural" in tags:
        index = [cover.material for cover in covers].index("crop")
        bare = _parcels(random, size, 40)
        weights = np.concatenate([weights, (weights[index] * bare)[None]])
        weights[index] *= 1 - bare
        spectra.append(SPECTRA["soil"])
    return np.array(spectra, np.float32), weights
