"""What Zenodo published: its members, arrays, tags and footprints, read in place."""

from s2cmc_zarr.release.backend import open_release

__all__ = ["open_release"]
