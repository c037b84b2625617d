"""The Sentinel-2 Cloud Mask Catalogue as a Zarr store: conversion, statistics and scores of cloud masks."""

from importlib.metadata import version

from lazy_loader import attach_stub

__version__ = version("s2cmc-zarr")

# What is public is listed in __init__.pyi, and imported when it is first used.
__getattr__, _, __all__ = attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return __all__
