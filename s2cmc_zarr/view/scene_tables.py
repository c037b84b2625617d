"""Tables of scenes as they are printed; each function takes that of all scenes, and that of groups if any."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.view.figures import PERCENT, SCENES, Format
from s2cmc_zarr.view.tables import Shown, side_by_side, there, with_interval

_MOST: Final = 12
"""Pairs of tags that are printed of those that come together more often, and less often, than by chance."""
_INTERVALS: Final = "in brackets 95 % intervals over independent groups of scenes"
_SHARE: Final = Format(scale=100, decimals=0)
_LIFT: Final = Format(decimals=2)


def show_balance(tables: list[xr.Dataset]) -> Shown:
    """Fraction of each class."""

    def rows(table: xr.Dataset) -> pd.DataFrame:
        columns = {label: with_interval(table.sel(label=label, drop=True), "class_fraction") for label in LABELS}
        return side_by_side(columns | {"scenes": table["scene_count"], "groups": table["group_count"]})

    caption = f"Percent of the labelled pixels; {_INTERVALS}. Where shadows were not marked, clear holds them, too."
    formats = dict.fromkeys(LABELS, PERCENT) | {"scenes": SCENES}
    return Shown({"Class balance": there(map(rows, tables))}, formats, caption)


def show_cloud_cover(tables: list[xr.Dataset]) -> Shown:
    """Distribution of cloud cover, in fifths."""
    fifths = {f"{low}–{low + 20}": [f"{low}–{low + 10}", f"{low + 10}–{low + 20}"] for low in range(0, 100, 20)}
    classes = {"0": ["0"]} | fifths | {"100": ["100"]}

    def rows(table: xr.Dataset) -> pd.DataFrame:
        columns = {"mean": with_interval(table, "mean_cover"), "median": table["median_cover"]}
        columns |= {
            name: table["scene_fraction"].sel(cloud_cover=parts).sum("cloud_cover") for name, parts in classes.items()
        }
        return side_by_side(columns | {"scenes": table["scene_count"]})

    caption = (
        f"Percent. Mean, {_INTERVALS}, and median of the cover of a scene; then the scenes of each cover: 0 is no "
        "cloud, 100 nothing else; the classes between hold neither, and hold their upper limits."
    )
    formats = {"mean": PERCENT, "median": PERCENT, "scenes": SCENES} | dict.fromkeys(classes, _SHARE)
    return Shown({"Cloud cover of scenes": there(map(rows, tables))}, formats, caption)


def show_tags(tables: list[xr.Dataset]) -> Shown:
    """Scenes of each tag."""

    def rows(table: xr.Dataset) -> pd.DataFrame:
        frequency = with_interval(table, "frequency")
        return side_by_side({"scenes": table["tag_scenes"], "of": table["scene_count"], "percent": frequency})

    caption = f"Scenes that have the tag, of how many; {_INTERVALS}."
    return Shown({"Tags": there(map(rows, tables), "of")}, {"percent": PERCENT}, caption)


def show_co_occurrence(tables: list[xr.Dataset]) -> Shown:
    """Tags that come together more often, and less often, than by chance."""
    table = tables[0].squeeze(drop=True)
    first = np.triu(np.ones((table.sizes["tag"],) * 2, dtype=bool), 1)
    columns = {
        "scenes": table["both_scenes"],
        "lift": with_interval(table, "lift"),
        "% of tag": table["conditional_frequency"],
        "% of other": table["conditional_frequency"].copy(data=table["conditional_frequency"].values.T),
    }
    frame = side_by_side(columns).rename_axis(index={"other_tag": "other tag"})
    frames = {}
    for often, chosen in (("more", table["lift_lower"] > 1), ("less", table["lift_upper"] < 1)):
        rows = frame[(chosen & first).values.ravel()]
        rows = rows.iloc[np.argsort(rows["lift"].str[0].to_numpy(), kind="stable")[:: -1 if often == "more" else 1]]
        shown = f", the {_MOST} foremost of {len(rows)}" if len(rows) > _MOST else ""
        frames[f"Tags that come together {often} often than by chance{shown}"] = rows.head(_MOST)
    caption = (
        "scenes: that have both tags, then in percent of those of either tag. lift: how many times as many as if the "
        f"tags were independent; {_INTERVALS}, of which there are none where no scene has both: such are not listed."
    )
    return Shown(frames, {"lift": _LIFT, "% of tag": _SHARE, "% of other": _SHARE}, caption)


def show_representativeness(tables: list[xr.Dataset]) -> Shown:
    """What is unlike in a part and in the whole."""

    def rows(table: xr.Dataset) -> pd.DataFrame:
        columns = {
            "distance": with_interval(table, "total_variation"),
            "random": table["random_total_variation"],
            "difference": with_interval(table, "difference"),
            "scenes": table["scene_count"],
        }
        return side_by_side(columns)

    frame = there([rows(tables[-1])])
    unlike = frame[frame["distance"].str[0] > frame["random"]]
    caption = (
        f"Of {len(frame)} attributes of parts, the {len(unlike)} whose distribution is farther from that of all scenes "
        "than in 95 % of random parts of as many scenes, which is the column random: 5 % of them would be by "
        "chance. Total variation distance in percent; difference: of a tag's frequency from that of all scenes in "
        f"percentage points; {_INTERVALS}."
    )
    formats = {"distance": PERCENT, "random": PERCENT, "difference": PERCENT._replace(sign=True), "scenes": SCENES}
    return Shown({"What is unlike the whole": unlike}, formats, caption)
