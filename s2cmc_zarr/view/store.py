"""What is said of conversions and verifications."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from s2cmc_zarr.store.conversion import Conversion
from s2cmc_zarr.store.verification import Verification

_MOST = 20
"""Lines of defects or differences before the rest is only counted."""


def print_conversion(done: Conversion, store: str) -> None:
    """Say what a conversion did."""
    console = Console()
    if done.written or done.damaged:
        console.print(f"{len(done.written)} scene(s) converted, {done.kept} there before: {escape(store)}")
    else:
        console.print(f"Nothing to convert: all {done.kept} scenes are in {escape(store)}")
    if done.packing_error is not None:
        console.print(f"Packed to 16 bits; the largest error of reflectance is {done.packing_error:.2e}")
    if done.lacking:
        console.print(f"Not in the source: {', '.join(done.lacking)}")
    damaged = {scene: done.defects[scene] for scene in done.damaged}
    marked = {scene: problem for scene, problem in done.defects.items() if scene not in damaged}
    for scenes, what in (
        (damaged, "damaged and not converted[/]; once the source is repaired, the same command goes on:"),
        (marked, "with defects[/], in the coordinate 'defects':"),
        (done.skipped, "skipped[/]:"),
    ):
        if scenes:
            console.print(f"[yellow]{len(scenes)} scene(s) {what}")
            _print_lines([f"{scene}: {problem}" for scene, problem in scenes.items()], console)


def print_verification(found: Verification, store: str, source: str | None) -> None:
    """Say what a verification found."""
    console = Console()
    against = "their digests" if source is None else f"their digests and {source}"
    if found.passed:
        console.print(
            f"[green]Verified:[/] {found.arrays} arrays of {found.scenes} scenes in {escape(store)} "
            f"equal {escape(against)}, bit by bit"
        )
        return
    console.print(f"[red]{len(found.differences)} difference(s)[/] between {escape(store)} and {escape(against)}:")
    _print_lines([": ".join(filter(None, difference)) for difference in found.differences], console)


def _print_lines(lines: list[str], console: Console) -> None:
    for line in lines[:_MOST]:
        console.print(f"  {escape(line)}", highlight=False)
    if len(lines) > _MOST:
        console.print(f"  … and {len(lines) - _MOST} more")
