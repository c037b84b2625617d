"""The Sentinel-2 Cloud Mask Catalogue as a Zarr store: conversion, statistics and scores of cloud masks."""

from importlib.metadata import version

from s2cmc_zarr.errors import CatalogueError, DefectError, DefectWarning, IncompleteStoreWarning
from s2cmc_zarr.release import open_release
from s2cmc_zarr.store import convert, open_store, verify

__version__ = version("s2cmc-zarr")

__all__ = [
    "CatalogueError",
    "DefectError",
    "DefectWarning",
    "IncompleteStoreWarning",
    "__version__",
    "convert",
    "open_release",
    "open_store",
    "verify",
]
