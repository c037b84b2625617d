"""Models of other packages that are not among the extras: they run where the user has installed them."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.installed import file_of, once, require, sha256
from s2cmc_zarr.scoring.models.prediction import Pixels
from s2cmc_zarr.scoring.models.specification import Specification


@dataclass(frozen=True)
class OmniCloudMask:
    """OmniCloudMask (https://github.com/DPIRD-DMA/OmniCloudMask, Wright et al. 2025), by its `predict_from_array`.

    The package fetches its weights when they are first needed, and keeps them in the user's data directory. The mask is
    the package's; probabilities are the softmax of its scores, without the rounding and the 0.001 that it adds to each.

    Parameters
    ----------
    patch_size, patch_overlap : int
        Of the package, in pixels.

    Raises
    ------
    CatalogueError
        If the package is not installed, or its weights cannot be fetched.
    """

    patch_size: int = 1000
    patch_overlap: int = 300

    def __post_init__(self) -> None:
        require("omnicloudmask", "omnicloudmask", hint="pip install omnicloudmask")

    @property
    def specification(self) -> Specification:
        """What the installed version takes and gives."""
        return Specification(
            name="omnicloudmask",
            version=version("omnicloudmask"),
            licence="MIT",
            bands=("B04", "B03", "B8A"),
            classes={
                "clear": "clear",
                "thick cloud": "cloud",
                "thin cloud": "thin cloud",
                "cloud shadow": "cloud shadow",
            },
            outputs="logits",
            halo=None,
            reference="https://github.com/DPIRD-DMA/OmniCloudMask",
        )

    @property
    def digest(self) -> str:
        """SHA-256 over the networks, which are fetched if they are not there."""
        return hashlib.sha256(" ".join(map(sha256, once(_fetch_networks))).encode()).hexdigest()

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.float32]:
        """Predict scores of clear, thick cloud, thin cloud and cloud shadow, float32, shape (4, y, x)."""
        once(_fetch_networks)
        from omnicloudmask import predict_from_array

        patch = min(self.patch_size, *reflectance.shape[1:])
        scores = predict_from_array(
            reflectance,
            patch_size=patch,
            patch_overlap=min(self.patch_overlap, patch // 2),
            inference_device="cpu",
            export_confidence=True,
            softmax_output=False,
            apply_no_data_mask=False,
        )
        # Patches without any data are not predicted.
        return np.nan_to_num(np.asarray(scores, dtype=np.float32), nan=0.0)


def _fetch_networks() -> tuple[Path, ...]:
    from omnicloudmask.download_models import get_models

    try:
        return tuple(Path(network["Path"]) for network in get_models())
    except Exception as error:  # whatever the package's clients of two hosts raise
        raise CatalogueError(
            f"the weights of omnicloudmask could not be fetched ({type(error).__name__}: {error}); "
            "connect to the network, or put them where the package looks for them"
        ) from error


@dataclass(frozen=True)
class Sentle:
    """The network of sentle (https://github.com/cmosig/sentle): a U-Net trained on CloudSEN12 and Level-2A.

    Only the TorchScript file of the package is used, with PyTorch. As there, a maximum filter of 7 × 7 pixels is
    applied to the values of the most probable classes: shadow grows over all others, thin cloud over thick cloud and
    clear sky. It was trained on surface reflectance; here it is given reflectance at the top of the atmosphere.

    Parameters
    ----------
    filter_size : int
        Rows and columns of the maximum filter, in pixels; 1 for none.

    Raises
    ------
    CatalogueError
        If the package or PyTorch is not installed.
    """

    filter_size: int = 7

    def __post_init__(self) -> None:
        require("sentle", "sentle", "torch", hint="pip install --no-deps sentle && pip install torch")

    @property
    def specification(self) -> Specification:
        """What the installed version takes and gives."""
        return Specification(
            name="sentle",
            version=version("sentle"),
            licence="",
            bands=("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
            classes={
                "clear sky": "clear",
                "thick cloud": "cloud",
                "thin cloud": "thin cloud",
                "shadow": "cloud shadow",
            },
            outputs="logits",
            level="L2A",
            resolution=10,
            halo=None,
            size_multiple=32,
            reference="https://github.com/cmosig/sentle",
        )

    @property
    def path(self) -> Path:
        """The network, as TorchScript."""
        return file_of("sentle", "data", "cloudmodel.pt")

    @property
    def digest(self) -> str:
        """SHA-256 of the network."""
        return sha256(self.path)

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.float32]:
        """Predict logits of clear sky, thick cloud, thin cloud and shadow, float32, shape (4, y, x)."""
        import torch

        network = once(_load_script, self.path, self.digest)
        with torch.inference_mode():
            batch = torch.from_numpy(reflectance)[None].contiguous(memory_format=torch.channels_last)
            output: npt.NDArray[np.float32] = network(batch)[0].numpy()
        return output

    def classify(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Give the most probable class, and of the neighbours the one of the highest value."""
        most = probabilities.argmax(axis=0).astype(np.uint8)
        grown: npt.NDArray[np.uint8] = maximum_filter(most, self.filter_size, mode="nearest")
        return grown


def _load_script(path: Path, digest: str) -> Any:  # noqa: ARG001  part of the key
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated, and is what the package has
        return torch.jit.load(str(path), map_location="cpu").eval()
