"""What Zenodo published: its members, arrays, tags and footprints, read in place."""

from s2cmc_zarr.release.backend import open_release
from s2cmc_zarr.release.download import download
from s2cmc_zarr.release.replica import make_replica

__all__ = ["download", "make_replica", "open_release"]
