"""``python -m s2cmc_zarr.cli``: the command line without its installed script."""

from s2cmc_zarr.cli import main

main()
