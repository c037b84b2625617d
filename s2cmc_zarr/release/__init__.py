"""What Zenodo published: its members, arrays, tags and footprints, read in place."""

from s2cmc_zarr.release.backend import open_release
from s2cmc_zarr.release.replica import make_replica

__all__ = ["make_replica", "open_release"]
