"""Audits in the terminal."""

from __future__ import annotations

import textwrap
from collections import defaultdict

from rich.console import Console
from rich.markup import escape

from s2cmc_zarr.analysis.audit import Audit
from s2cmc_zarr.analysis.checks import TITLES

_INDENT = " " * 7


def print_audit(audit: Audit) -> None:
    """Print what an audit found, check by check, the defects first.

    Parameters
    ----------
    audit : Audit
    """
    console = Console(highlight=False)
    for (severity, check), findings in audit.findings.groupby(["severity", "check"], sort=False):
        colour = "red" if severity == "defect" else "yellow"
        console.print(f"\n[{colour}]{severity}[/] {escape(TITLES[str(check)])}: [bold]{len(findings)}[/]")
        for row, scene, text in zip(findings["row"], findings["scene"], findings["found"], strict=True):
            for line in _lines(f"{row if row >= 0 else '':>5}  {scene}", text, console.width):
                console.print(escape(line), soft_wrap=True)
    counts = audit.findings["severity"].value_counts()
    groups = f" in {audit.group.nunique():,} independent groups" if len(audit.group) else ""
    found = f"{counts.get('defect', 0):,} defect(s), {counts.get('note', 0):,} note(s)"
    console.print(f"\n{audit.scene_count:,} scene(s){groups}: {found}")
    lacking = defaultdict(list)
    for check, needs in audit.skipped.items():
        lacking[", ".join(needs)].append(TITLES[check])
    for names, titles in lacking.items():
        console.print(f"[dim]Not checked, without {names}:[/] {escape('; '.join(titles))}", soft_wrap=True)


def _lines(scene: str, text: str, width: int) -> list[str]:
    """Put scene and finding into one line, or the finding below if it does not fit."""
    if "\n" not in text and len(scene) + 2 + len(text) <= width:
        return [f"{scene}  {text}"]
    return [
        scene,
        *(
            part
            for line in text.splitlines()
            for part in textwrap.wrap(
                line, width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False
            )
        ),
    ]
