"""Models of cloud masks: what a model is, those that are built in, and how others are brought."""

from s2cmc_zarr.scoring.models.conformance import check_model
from s2cmc_zarr.scoring.models.prediction import FunctionModel, Model, Prediction, gives_probability
from s2cmc_zarr.scoring.models.registry import MODELS, ModelLike, as_model, load_model
from s2cmc_zarr.scoring.models.runner import Predictor, SceneModel
from s2cmc_zarr.scoring.models.specification import Specification
from s2cmc_zarr.scoring.models.thresholds import BraatenCohenYang

__all__ = [
    "MODELS",
    "BraatenCohenYang",
    "FunctionModel",
    "Model",
    "ModelLike",
    "Prediction",
    "Predictor",
    "SceneModel",
    "Specification",
    "as_model",
    "check_model",
    "gives_probability",
    "load_model",
]
