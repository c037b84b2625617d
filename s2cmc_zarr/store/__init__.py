"""The Zarr store: convert to it, open it, verify it."""

from s2cmc_zarr.store.conversion import convert
from s2cmc_zarr.store.export import export_zip
from s2cmc_zarr.store.opening import open_catalogue, open_store
from s2cmc_zarr.store.verification import verify

__all__ = ["convert", "export_zip", "open_catalogue", "open_store", "verify"]
