"""Models in files: ONNX, LightGBM's text, PyTorch's exported programs, scikit-learn's pickles."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.boosters import BoosterPredictor, load_booster
from s2cmc_zarr.scoring.models.installed import once, require, sha256
from s2cmc_zarr.scoring.models.naming import check_kind
from s2cmc_zarr.scoring.models.prediction import Pixels
from s2cmc_zarr.scoring.models.runner import Predictor, SceneModel
from s2cmc_zarr.scoring.models.sessions import onnx_session
from s2cmc_zarr.scoring.models.specification import Specification

METADATA: Final = "stac_mlm"
"""Key of the specification in the metadata of an ONNX file."""
SUFFIXES: Final = (".onnx", ".txt", ".pt2", ".pkl", ".pickle")


def load_file(
    path: Path, *, allow_pickle: bool = False, threads: int = 1, threshold: float | None = None
) -> SceneModel:
    """Make a model of a file, with its specification beside it: ``model.json`` for ``model.onnx``.

    Parameters
    ----------
    path : pathlib.Path
        * ``.onnx``: takes (1, band, y, x) and gives (1, class, y, x), (1, y, x) or (1, 1, y, x). Its specification may
          also be its own metadata, as JSON under the key ``stac_mlm``.
        * ``.txt``: LightGBM's text of a forest of single pixels.
        * ``.pt2``: a program of `torch.export`, as ONNX.
        * ``.pkl``, ``.pickle``: a scikit-learn classifier of single pixels.
    allow_pickle : bool
        Unpickling runs whatever code is in the file: only for files of which you know who made them.
    threads : int
        See `SceneModel`.
    threshold : float, optional
        Of a binary forest; see `BoosterPredictor`.

    Raises
    ------
    CatalogueError
        If there is no such file, no specification, it is none of these, a parameter is not for it, or a package is not
        installed.
    """
    if not path.is_file():
        raise CatalogueError(f"no file {path}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise CatalogueError(f"{path} is no model, expected a file that ends with {', '.join(SUFFIXES)}")
    if threshold is not None and suffix != ".txt":
        raise CatalogueError(f"{path} has no parameter 'threshold'; only a forest of LightGBM (.txt) has")
    if threshold is not None:
        check_kind(str(path), "threshold", threshold, 0.5)
        if not 0 <= threshold <= 1:
            raise CatalogueError(f"{path} got threshold={threshold}, expected 0 to 1")
    if suffix in (".pkl", ".pickle") and not allow_pickle:
        raise CatalogueError(
            f"{path} is a pickle, and reading it runs whatever code is in it; if you trust it, say allow_pickle=True "
            "(--allow-pickle)"
        )
    path = path.resolve()
    specification = read_specification(path)
    predictor: Predictor
    if suffix == ".onnx":
        onnx_session(path)
        predictor = OnnxPredictor(path, specification)
    elif suffix == ".txt":
        load_booster(path)
        predictor = BoosterPredictor(path, specification, 0.5 if threshold is None else threshold)
    elif suffix == ".pt2":
        require(str(path), "torch", hint="pip install torch")
        predictor = TorchPredictor(path, specification)
    else:
        predictor = PicklePredictor(path, specification)
        once(_load_pickle, path, predictor.digest)
    return SceneModel(predictor, threads)


def read_specification(path: Path) -> Specification:
    """Read the specification of a model's file, beside it or in it.

    Raises
    ------
    CatalogueError
        If there is none, or it cannot be read.
    """
    beside = path.with_suffix(".json")
    if beside.is_file():
        text, where = beside.read_text(encoding="utf-8"), str(beside)
    else:
        metadata = onnx_session(path).get_modelmeta().custom_metadata_map if path.suffix.lower() == ".onnx" else {}
        if METADATA not in metadata:
            inside = f", or JSON in its metadata under {METADATA!r}" if path.suffix.lower() == ".onnx" else ""
            raise CatalogueError(
                f"{path} has no specification: expected {beside.name} beside it{inside}, "
                "as Specification.to_stac_mlm() gives it"
            )
        text, where = metadata[METADATA], f"the metadata of {path}"
    try:
        return Specification.from_stac_mlm(json.loads(text))
    except json.JSONDecodeError as error:
        raise CatalogueError(f"{where} is no JSON: {error}") from None
    except CatalogueError as error:
        raise CatalogueError(f"{where}: {error}") from None


@dataclass(frozen=True)
class FilePredictor:
    """A file and its specification; what is in it is loaded once a process."""

    path: Path
    specification: Specification

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return sha256(self.path)


class OnnxPredictor(FilePredictor):
    """A network in a file of ONNX, run by ONNX Runtime."""

    def predict(self, reflectance: Pixels) -> npt.NDArray[Any]:
        """Predict classes or probabilities as specified."""
        session = onnx_session(self.path)
        shape = session.get_inputs()[0].shape
        expected = [size if isinstance(size, int) else None for size in shape]
        given = (1, *reflectance.shape)
        if len(expected) != 4 or any(size not in (None, have) for size, have in zip(expected, given, strict=True)):
            raise CatalogueError(f"{self.path} takes {shape}, the specification gives it {given}; set tile, bands")
        (output, *_) = session.run(None, {session.get_inputs()[0].name: reflectance[np.newaxis]})
        return _as_specified(output, self.specification)


class TorchPredictor(FilePredictor):
    """A network as a program of `torch.export`, run by PyTorch on the CPU."""

    def predict(self, reflectance: Pixels) -> npt.NDArray[Any]:
        """Predict classes or probabilities as specified."""
        import torch

        program = once(_load_program, self.path, self.digest)
        with torch.inference_mode():
            output = program(torch.from_numpy(reflectance)[None])
        return _as_specified(output.numpy(), self.specification)


def _load_program(path: Path, digest: str) -> Any:  # noqa: ARG001  part of the key
    import torch

    return torch.export.load(path).module()


class PicklePredictor(FilePredictor):
    """A pickled classifier with scikit-learn's methods; its features are the bands of single pixels."""

    def predict(self, reflectance: Pixels) -> npt.NDArray[Any]:
        """Predict classes or probabilities as specified."""
        classifier = once(_load_pickle, self.path, self.digest)
        pixels = reflectance.reshape(len(reflectance), -1).T
        if self.specification.outputs == "classes":
            classes = np.asarray(classifier.predict(pixels))
            return classes.astype(np.uint8).reshape(reflectance.shape[1:])
        probabilities = np.asarray(classifier.predict_proba(pixels), dtype=np.float32)
        return probabilities.T.reshape(-1, *reflectance.shape[1:])


def _load_pickle(path: Path, digest: str) -> Any:  # noqa: ARG001  part of the key
    try:
        with path.open("rb") as file:
            classifier = pickle.load(file)  # noqa: S301  only after allow_pickle
    except (pickle.UnpicklingError, EOFError, ImportError, AttributeError) as error:
        raise CatalogueError(f"{path} is no pickle that can be read here: {error}") from None
    if not hasattr(classifier, "predict"):
        raise CatalogueError(f"{path} holds {type(classifier).__name__}, expected a classifier with predict()")
    return classifier


def _as_specified(output: npt.NDArray[Any], specification: Specification) -> npt.NDArray[Any]:
    """Drop the dimension of the batch, and make of the probability of one class that of two."""
    output = output[0]
    if specification.outputs == "classes":
        output = output[0] if output.ndim == 3 else output
        return output.astype(np.uint8)
    output = output.astype(np.float32)
    if output.ndim == 2 or (len(output) == 1 and len(specification.classes) == 2):
        positive = output.reshape(output.shape[-2:])
        other = -positive if specification.outputs == "logits" else 1 - positive
        # The softmax of ±x/2 is the logistic function of x.
        output = np.stack([other, positive]) / (2 if specification.outputs == "logits" else 1)
    return output
