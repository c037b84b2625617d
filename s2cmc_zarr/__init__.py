"""The Sentinel-2 Cloud Mask Catalogue as a Zarr store: conversion, statistics and scores of cloud masks."""

from importlib.metadata import version

from s2cmc_zarr.analysis.agreement import agreement, agreement_rates
from s2cmc_zarr.analysis.audit import audit
from s2cmc_zarr.analysis.band_tables import normalisation, quantiles, separability
from s2cmc_zarr.analysis.representativeness import representativeness
from s2cmc_zarr.analysis.scene_tables import class_balance, cloud_cover, tag_co_occurrence, tag_counts
from s2cmc_zarr.analysis.statistics import statistics, tabulate
from s2cmc_zarr.errors import CatalogueError, DefectError, DefectWarning, DownloadWarning, IncompleteStoreWarning
from s2cmc_zarr.release import download, make_replica, open_release
from s2cmc_zarr.scoring.calibration import calibrate_threshold
from s2cmc_zarr.scoring.comparison import compare
from s2cmc_zarr.scoring.explanation import explain
from s2cmc_zarr.scoring.intervals import intervals
from s2cmc_zarr.scoring.kept_scores import open_scores
from s2cmc_zarr.scoring.metrics import metrics
from s2cmc_zarr.scoring.models import Specification, check_model, load_model
from s2cmc_zarr.scoring.probabilities import probability_curves, probability_metrics
from s2cmc_zarr.scoring.scores import score
from s2cmc_zarr.store import convert, export_zip, open_catalogue, open_store, verify

__version__ = version("s2cmc-zarr")

__all__ = [
    "CatalogueError",
    "DefectError",
    "DefectWarning",
    "DownloadWarning",
    "IncompleteStoreWarning",
    "Specification",
    "__version__",
    "agreement",
    "agreement_rates",
    "audit",
    "calibrate_threshold",
    "check_model",
    "class_balance",
    "cloud_cover",
    "compare",
    "convert",
    "download",
    "explain",
    "export_zip",
    "intervals",
    "load_model",
    "make_replica",
    "metrics",
    "normalisation",
    "open_catalogue",
    "open_release",
    "open_scores",
    "open_store",
    "probability_curves",
    "probability_metrics",
    "quantiles",
    "representativeness",
    "score",
    "separability",
    "statistics",
    "tabulate",
    "tag_co_occurrence",
    "tag_counts",
    "verify",
]
