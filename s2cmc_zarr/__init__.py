"""The Sentinel-2 Cloud Mask Catalogue as a Zarr store: conversion, statistics and scores of cloud masks."""

from importlib.metadata import version

from s2cmc_zarr.analysis.agreement import agreement, agreement_rates
from s2cmc_zarr.analysis.audit import audit
from s2cmc_zarr.analysis.statistics import statistics, tabulate
from s2cmc_zarr.errors import CatalogueError, DefectError, DefectWarning, IncompleteStoreWarning
from s2cmc_zarr.release import make_replica, open_release
from s2cmc_zarr.scoring.metrics import metrics
from s2cmc_zarr.scoring.models import load_model
from s2cmc_zarr.scoring.scores import score
from s2cmc_zarr.store import convert, export_zip, open_catalogue, open_store, verify

__version__ = version("s2cmc-zarr")

__all__ = [
    "CatalogueError",
    "DefectError",
    "DefectWarning",
    "IncompleteStoreWarning",
    "__version__",
    "agreement",
    "agreement_rates",
    "audit",
    "convert",
    "export_zip",
    "load_model",
    "make_replica",
    "metrics",
    "open_catalogue",
    "open_release",
    "open_store",
    "score",
    "statistics",
    "tabulate",
    "verify",
]
