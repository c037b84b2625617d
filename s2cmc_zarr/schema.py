"""Names, dimensions, classes, bands, tags, attributes and encodings: the one place that knows them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final, NamedTuple

SCHEMA_VERSION: Final = 1

SCENE_SIZE: Final = 1022
"""Rows and columns of a published subscene."""
PIXEL_SIZE: Final = 20.0
"""Metres."""
INSET: Final = 65
"""Pixels between the outline in the shapefile and the subscene, on every side."""

LABELS: Final = ("clear", "cloud", "cloud_shadow")
"""Classes of a mask; the position of a name is its value in `mask`."""
UNLABELLED: Final = 255
"""Value of a mask pixel without exactly one class, and of every pixel that was never written."""


class Band(NamedTuple):
    """A band of the Sentinel-2 MultiSpectral Instrument.

    Wavelengths and bandwidths are those of Sentinel-2A in ESA's *Sentinel-2 MSI Technical Guide*; the ones of
    Sentinel-2B lie within 5 nm for the bands up to B09 and within 17 nm beyond.
    """

    name: str
    common_name: str
    centre_wavelength: float  # nm
    bandwidth: float  # nm
    native_resolution: int  # m


BANDS: Final = (
    Band("B01", "coastal", 442.7, 20, 60),
    Band("B02", "blue", 492.4, 65, 10),
    Band("B03", "green", 559.8, 35, 10),
    Band("B04", "red", 664.6, 30, 10),
    Band("B05", "rededge071", 704.1, 14, 20),
    Band("B06", "rededge075", 740.5, 14, 20),
    Band("B07", "rededge078", 782.8, 19, 20),
    Band("B08", "nir", 832.8, 105, 10),
    Band("B8A", "nir08", 864.7, 21, 20),
    Band("B09", "nir09", 945.1, 19, 60),
    Band("B10", "cirrus", 1373.5, 29, 60),
    Band("B11", "swir16", 1613.7, 90, 20),
    Band("B12", "swir22", 2202.4, 174, 20),
)
"""Bands in the order of the last axis of a published subscene."""
BAND_NAMES: Final = tuple(band.name for band in BANDS)

TAG_GROUPS: Final = MappingProxyType(
    {
        "surface": (
            "forest/jungle",
            "snow/ice",
            "agricultural",
            "urban/developed",
            "coastal",
            "hills/mountains",
            "desert/barren",
            "shrublands/plains",
            "wetland/bog/marsh",
            "open_water",
            "enclosed_water",
        ),
        "thickness": ("thin", "thick"),
        "height": ("low", "high"),
        "extent": ("isolated", "extended"),
        "cloud_type": (
            "cumulus",
            "cumulonimbus",
            "altocumulus/stratocumulus",
            "cirrus",
            "haze/fog",
            "ice_clouds",
            "contrails",
        ),
    }
)
TAGS: Final = tuple(tag for tags in TAG_GROUPS.values() for tag in tags)
"""The 24 tags in the order of the published table."""
TAG_GROUP: Final = tuple(group for group, tags in TAG_GROUPS.items() for _ in tags)
"""For each of `TAGS`, its group."""

CSV_COLUMNS: Final = (
    "index",
    "scene",
    "difficulty",
    "annotator",
    "shadows_marked",
    "clear_percent",
    "cloud_percent",
    "shadow_percent",
    "dataset",
    *TAGS,
)
"""Columns of `classification_tags.csv`, in order."""

DIMS: Final = MappingProxyType(
    {
        "reflectance": ("scene", "band", "y", "x"),
        "mask": ("scene", "y", "x"),
        "alt_mask": ("scene", "y", "x"),
        "thumbnail": ("scene", "ty", "tx", "rgb"),
    }
)
"""Dimensions of the arrays that hold pixels; all other variables are coordinates."""

DTYPES: Final = MappingProxyType({"reflectance": "float32", "mask": "uint8", "alt_mask": "uint8", "thumbnail": "uint8"})
FILL_VALUES: Final = MappingProxyType(
    {"reflectance": float("nan"), "mask": UNLABELLED, "alt_mask": UNLABELLED, "thumbnail": 0}
)
"""What a reader sees where nothing was written. Masks never fill with 0: an unwritten scene would read as clear."""

_FLAGS: Final = MappingProxyType({"flag_values": list(range(len(LABELS))), "flag_meanings": " ".join(LABELS)})

ATTRIBUTES: Final[MappingProxyType[str, dict[str, Any]]] = MappingProxyType(
    {
        "reflectance": {
            "long_name": "top-of-atmosphere reflectance",
            "standard_name": "toa_bidirectional_reflectance",
            "units": "1",
            "comment": "Level-1C digital number / 10000; values above 1 are real and are kept",
        },
        "mask": {"long_name": "cloud mask", **_FLAGS, "comment": "255: unlabelled"},
        "alt_mask": {
            "long_name": "cloud mask of the second annotator",
            **_FLAGS,
            "comment": "255: unlabelled, or the scene has no second mask",
        },
        "thumbnail": {"long_name": "quick look"},
        "scene": {"long_name": "Level-1C product identifier"},
        "band": {"long_name": "Sentinel-2 band"},
        "common_name": {"long_name": "common name of the band in the STAC electro-optical extension"},
        "centre_wavelength": {
            "long_name": "centre wavelength of the band on Sentinel-2A",
            "standard_name": "sensor_band_central_radiation_wavelength",
            "units": "nm",
        },
        "bandwidth": {"long_name": "bandwidth of the band on Sentinel-2A", "units": "nm"},
        "native_resolution": {"long_name": "pixel size at which the band was acquired", "units": "m"},
        "label": {"long_name": "class of the mask"},
        "tag": {"long_name": "tag of the published table"},
        "tag_group": {"long_name": "group of the tag"},
        "tags": {"long_name": "whether the annotator gave the scene the tag"},
        "y": {
            "long_name": "northing of the pixel's centre from the subscene's north-west corner",
            "units": "m",
            "axis": "Y",
        },
        "x": {
            "long_name": "easting of the pixel's centre from the subscene's north-west corner",
            "units": "m",
            "axis": "X",
        },
        "time": {"long_name": "sensing time (UTC)", "standard_name": "time"},
        "platform": {"long_name": "satellite"},
        "baseline": {"long_name": "processing baseline"},
        "relative_orbit": {"long_name": "relative orbit"},
        "tile": {"long_name": "MGRS tile"},
        "difficulty": {"long_name": "difficulty of the annotation, 1 (easy) to 5", "units": "1"},
        "annotator": {"long_name": "annotator"},
        "shadows_marked": {
            "long_name": "whether the annotator marked cloud shadows",
            "comment": "where false, clear means clear or cloud shadow",
        },
        "dataset": {
            "long_name": "stage of the annotation work",
            "comment": "not a split into training and test data",
        },
        "clear_percent": {"long_name": "clear pixels according to the tag table", "units": "percent"},
        "cloud_percent": {"long_name": "cloud pixels according to the tag table", "units": "percent"},
        "shadow_percent": {"long_name": "cloud shadow pixels according to the tag table", "units": "percent"},
        "table_class_count": {"long_name": "pixels of each class according to the tag table", "units": "1"},
        "group": {
            "long_name": "independent group of the scene",
            "comment": "scenes that share a tile, or platform, date and relative orbit, directly or through others",
        },
        "epsg": {"long_name": "EPSG code of the scene's UTM zone, 0 where unknown"},
        "x_origin": {"long_name": "UTM easting of the subscene's north-west corner", "units": "m"},
        "y_origin": {"long_name": "UTM northing of the subscene's north-west corner", "units": "m"},
        "longitude": {
            "long_name": "longitude of the subscene's centre",
            "standard_name": "longitude",
            "units": "degrees_east",
        },
        "latitude": {
            "long_name": "latitude of the subscene's centre",
            "standard_name": "latitude",
            "units": "degrees_north",
        },
        "footprint": {"long_name": "outline of the subscene (WKT, longitude and latitude on WGS 84)"},
        "has_alt_mask": {"long_name": "whether a second annotator's mask is there"},
        "defects": {"long_name": "what contradicts the published layout or the tag table", "comment": "empty: nothing"},
        "mask_class_count": {"long_name": "pixels of each class counted in the mask when converted", "units": "1"},
        "converted": {"long_name": "whether the scene's arrays were written"},
        "packing_error": {
            "long_name": "largest error of reflectance that packing to 16 bits made",
            "units": "1",
        },
        "reflectance_sha256": {
            "long_name": "SHA-256 of the reflectance as released",
            "comment": "of the little-endian float32 values (row, column, band) of the store's bands, no NPY header",
        },
        "mask_sha256": {
            "long_name": "SHA-256 of the mask as released",
            "comment": "of the one-hot bytes (row, column, class); a pixel without exactly one class is all zero",
        },
        "alt_mask_sha256": {
            "long_name": "SHA-256 of the second annotator's mask as released",
            "comment": "of the one-hot bytes (row, column, class); a pixel without exactly one class is all zero",
        },
        "thumbnail_sha256": {
            "long_name": "SHA-256 of the thumbnail",
            "comment": "of the decoded bytes in the order (row, column, RGB)",
        },
    }
)
"""CF attributes of every variable."""

ROOT_ATTRIBUTES: Final[MappingProxyType[str, Any]] = MappingProxyType(
    {
        "title": "Sentinel-2 Cloud Mask Catalogue",
        "source": "https://doi.org/10.5281/zenodo.4172871",
        "doi": "10.5281/zenodo.4172871",
        "license": "CC-BY-4.0",
        "citation": (
            "Francis, A., Mrziglod, J., Sidiropoulos, P., Muller, J.-P. (2020). "
            "Sentinel-2 Cloud Mask Catalogue. Zenodo. https://doi.org/10.5281/zenodo.4172871"
        ),
        "Conventions": "CF-1.11",
        "schema_version": SCHEMA_VERSION,
    }
)
