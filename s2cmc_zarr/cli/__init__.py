"""The command line: one thin command per capability of the Python interface."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; see `run`."""
    try:
        # Here, since imports take a while and can be interrupted, too.
        from s2cmc_zarr.cli.commands import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
