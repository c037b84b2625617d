"""One writer at a time: a run claims the store, says from time to time that it is alive, and gives the store back."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psutil
from zarr.abc.store import Store
from zarr.core.sync import sync

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.retrying import StorageError, naming
from s2cmc_zarr.store.objects import as_buffer, delete, exists, get_json, put_json, whole_names

FOLDER: Final = "converted"
CLAIM: Final = f"{FOLDER}/claim.json"
_RENEWED_EVERY: Final = 20.0
_STALE_AFTER: Final = 120.0
"""Seconds; several renewals, so that a slow bucket does not make a living run look dead."""


@contextmanager
def claim(store: Store, *, key: str = CLAIM, take_over: bool | None = False) -> Iterator[None]:
    """Hold a store for writing.

    A claim of a process that no longer runs on this machine, that was not renewed for two minutes, or that a power cut
    left without its content, is taken over.

    Parameters
    ----------
    store : zarr.abc.store.Store
    key : str
        Where the claim is written.
    take_over : bool or None
        Take over a claim that looks alive, too; None where the user cannot ask for that.

    Raises
    ------
    CatalogueError
        If another run holds the store; on leaving, if another run took it over.
    """
    mine = {
        "token": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "started": psutil.Process().create_time(),
    }
    # Asked first, so that a claim which appears in between is not taken for one that was cut short.
    was_there, held = exists(store, key), get_json(store, key)
    if held is not None and not {"host", "process", "started", "renewed"} <= held.keys():
        held = None
    if held is not None and not take_over and _is_alive(held):
        or_else = "" if take_over is None else ", or take the store over if it is dead (--take-over, take_over=True)"
        raise CatalogueError(
            f"another run is writing to this store: process {held['process']} on {held['host']}, last sign "
            f"{time.time() - held['renewed']:.0f} s ago. Wait for it{or_else}"
        )
    if was_there:
        delete(store, key)
    with naming(f"cannot write to {store}"):
        sync(store.set_if_not_exists(key, as_buffer(mine | {"renewed": time.time()})))
    _check_mine(store, key, mine["token"])
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(_RENEWED_EVERY):
            with suppress(StorageError, OSError):  # the next one may succeed
                if (get_json(store, key) or {}).get("token") == mine["token"]:
                    put_json(store, key, mine | {"renewed": time.time()})

    renewer = threading.Thread(target=renew, name="claim", daemon=True)
    renewer.start()
    try:
        yield
        _check_mine(store, key, mine["token"])
    finally:
        stop.set()
        renewer.join()
        with suppress(StorageError, OSError):  # what remains is that of a dead run
            if (get_json(store, key) or {}).get("token") == mine["token"]:
                delete(store, key)


def is_claimed(store: Store) -> bool:
    """Whether a run holds the store, or held it when it died."""
    return get_json(store, CLAIM) is not None


def is_claim_alone(store: Store) -> bool:
    """Whether nothing is at the place of a store but, perhaps, the claim of a run that died before it began."""
    names = whole_names(store, "")
    return not names or (names == [FOLDER] and whole_names(store, FOLDER) in ([], [CLAIM.rpartition("/")[2]]))


def _is_alive(held: dict[str, Any]) -> bool:
    if held["host"] == socket.gethostname():
        try:
            return bool(psutil.Process(held["process"]).create_time() == held["started"])
        except psutil.NoSuchProcess:
            return False
    return bool(time.time() - held["renewed"] < _STALE_AFTER)


def _check_mine(store: Store, key: str, token: object) -> None:
    held = get_json(store, key) or {}
    if held.get("token") != token:
        raise CatalogueError(
            f"another run has claimed this store: process {held.get('process')} on {held.get('host')}; "
            "what both wrote is the same, but only one of them may finish"
        )
