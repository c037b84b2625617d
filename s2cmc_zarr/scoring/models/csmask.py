"""The network of ukis-csmask, with the weights of its package and the labels that its package gives."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from scipy.signal.windows import tukey
from scipy.special import softmax

from s2cmc_zarr.scoring.models.installed import file_of, once, require, sha256
from s2cmc_zarr.scoring.models.prediction import Pixels
from s2cmc_zarr.scoring.models.sessions import onnx_session
from s2cmc_zarr.scoring.models.specification import Specification

_TILE: Final = 256
_MARGIN: Final = 51
"""Pixels by which tiles overlap, and by which the scene is padded: 20 per cent of a tile."""
_STEP: Final = 204


@dataclass(frozen=True)
class UkisCSMask:
    """A U-Net of six bands that tells cloud and cloud shadow from the rest.

    The network is the one for six bands of Level-1C of the package `ukis-csmask` (https://github.com/dlr-eoc/ukis-csmask,
    Wieland et al. 2019, doi 10.1016/j.rse.2019.05.022). Tiles overlap and are blended as there, so that the labels are
    those of `CSmask`; unlike there, the session is made once a process, and each tile runs in one thread, which on
    several scenes at a time is faster than one scene in several threads.

    Parameters
    ----------
    threads : int
        Tiles of a scene that run at the same time; more than 1 helps where scenes are not predicted in parallel.

    Raises
    ------
    CatalogueError
        If the package is not installed.
    """

    threads: int = 1

    specification: ClassVar[Specification] = Specification(
        name="ukis-csmask",
        version="1.0.0-6BL1C",
        licence="Apache-2.0",
        bands=("B02", "B03", "B04", "B08", "B11", "B12"),
        classes={"background": "clear", "cloud": "cloud", "cloud shadow": "cloud shadow"},
        outputs="probabilities",
        resolution=30,
        halo=None,
        reference="https://doi.org/10.1016/j.rse.2019.05.022",
    )

    def __post_init__(self) -> None:
        require("ukis-csmask", "ukis_csmask", "onnxruntime")

    @property
    def path(self) -> Path:
        """The network, as ONNX."""
        return file_of("ukis_csmask", "model_6b_l1c.onnx")

    @property
    def digest(self) -> str:
        """SHA-256 of the network."""
        return sha256(self.path)

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.float32]:
        """Predict probabilities of background, cloud and cloud shadow, float32, shape (3, y, x)."""
        rows, columns = reflectance.shape[1:]
        mean, deviation = once(_statistics, self.path.with_suffix(".json"))
        # In float64, and rounded twice, as in the package.
        scaled = (reflectance - mean).astype(np.float32)
        scaled = (scaled / deviation).astype(np.float32)
        tops, lefts = (range(0, _MARGIN + size, _STEP) for size in (rows, columns))
        after = [starts[-1] + _TILE - _MARGIN - size for starts, size in ((tops, rows), (lefts, columns))]
        padded = np.pad(scaled, [(0, 0), *((_MARGIN, width) for width in after)], mode="symmetric")
        places = list(itertools.product(tops, lefts))
        run = partial(_run, onnx_session(self.path), padded)
        if self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                tiles = list(pool.map(run, places))
        else:
            tiles = [run(place) for place in places]
        window = np.outer(tukey(_TILE, 2 * 0.2), tukey(_TILE, 2 * 0.2))
        blended = np.zeros((3, *padded.shape[1:]))
        for (top, left), tile in zip(places, tiles, strict=True):
            blended[:, top : top + _TILE, left : left + _TILE] += tile * window
        return blended[:, _MARGIN : _MARGIN + rows, _MARGIN : _MARGIN + columns].astype(np.float32)


def _run(session: Any, padded: Pixels, place: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Probabilities of a tile, float32, shape (3, 256, 256)."""
    top, left = place
    tile = np.ascontiguousarray(padded[np.newaxis, :, top : top + _TILE, left : left + _TILE])
    (scores,) = session.run(None, {session.get_inputs()[0].name: tile})
    probabilities: npt.NDArray[np.float32] = softmax(scores[0], axis=0)
    return probabilities


def _statistics(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each band in the training data, shape (band, 1, 1)."""
    means, deviations = json.loads(path.read_text(encoding="utf-8"))["data"]["dataset_statistics"]["img"]
    return np.array(means)[:, np.newaxis, np.newaxis], np.array(deviations)[:, np.newaxis, np.newaxis]
