"""Trying again what fails for a transient reason, and saying in one sentence what failed for good.

Transient errors are tried again with exponential backoff and jitter for a minute in all. The others, and those that do
not pass, become one `StorageError` that says which object is concerned, without options, headers or credentials.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import functools
import http.client
import math
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import aiohttp
import tenacity

from s2cmc_zarr.errors import CatalogueError, redact

RETRY_VARIABLE: Final = "S2CMC_RETRY_SECONDS"
"""Environment variable: for how long transient errors are tried again; 0 is not at all, the default is 60."""

_CLIENT_ERRORS: Final = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "obstore.exceptions": ("BaseError",),
    "gcsfs.retry": ("HttpError",),
    "azure.core.exceptions": ("AzureError",),
}
_TRANSIENT_CLIENT_ERRORS: Final = {
    "botocore.exceptions": ("ConnectionError", "HTTPClientError", "IncompleteReadError"),
    "azure.core.exceptions": ("ServiceRequestError", "ServiceResponseError"),
}
_TRANSIENT: Final = (
    ConnectionError,
    TimeoutError,
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    http.client.IncompleteRead,
)
_LONGEST_WAIT: Final = 600
"""Seconds that a server may ask to wait before the next request."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class StorageError(CatalogueError):
    """A file or object cannot be read or written: not reachable, not permitted, no longer there, no space left.

    It is no `OSError`, so that nobody takes it for a defect of what the file holds.
    """


def retry_seconds() -> float:
    """For how long transient errors are tried again, in seconds; see `RETRY_VARIABLE`."""
    text = os.environ.get(RETRY_VARIABLE, "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise CatalogueError(f"{RETRY_VARIABLE} is {text!r}, expected a number of seconds from 0, such as 60")
    return seconds


def attempt(
    what: str, function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """Call a function that uses storage; again, if it fails for a transient reason.

    Parameters
    ----------
    what : str
        For messages, e.g. ``"read bucket/masks.zip"``.
    function : callable
    *args, **kwargs
        Its arguments.

    Raises
    ------
    FileNotFoundError
        If the function does: only the caller knows whether what is absent is wanted.
    StorageError
        If it fails in any other way.
    """
    try:
        return tenacity.Retrying(**_policy())(function, *args, **kwargs)
    except _client_errors() as error:
        _give_up(what, error)


async def attempt_async(
    what: str, function: Callable[_Arguments, Awaitable[_Result]], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """As `attempt`, for a coroutine function."""
    try:
        return await tenacity.AsyncRetrying(**_policy())(function, *args, **kwargs)
    except _client_errors() as error:
        _give_up(what, error)


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Put what was being done, such as the scene, before the message of whatever fails in storage meanwhile.

    Raises
    ------
    StorageError
        For each `StorageError` and each error of the operating system.
    """
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{what}: {error}") from None
    except OSError as error:
        raise StorageError(f"{what}: {explain(error)}") from None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later: no connection, no answer in time, an overloaded server."""
    if isinstance(error, _TRANSIENT + _loaded(_TRANSIENT_CLIENT_ERRORS)):
        return True
    status = status_of(error)
    return status is not None and (status in (408, 425, 429) or (status >= 500 and status != 501))


def explain(error: BaseException) -> str:
    """Say in a few words why a request failed, without anything of its headers, signature or query."""
    status = status_of(error)
    kind = type(error).__name__
    if status in (401, 403) or kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return "access was denied; check the credentials and what they permit"
    if status is not None:
        return f"the server answered with status {status}" + _persistence(error)
    if isinstance(error, OSError) and error.errno is not None and error.strerror and not is_transient(error):
        return error.strerror + (f": {error.filename}" if error.filename else "")
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, PermissionError):
        return "access was denied; check the credentials and what they permit"
    if isinstance(error, TypeError):
        return f"a storage option is not known: {error}"
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time" + _persistence(error)
    # obstore tells how it tried, then why that failed, then the body of the answer.
    reason = str(error).partition("\n")[0].rpartition(" - ")[2].partition(": <")[0]
    return (redact(reason) or kind) + _persistence(error)


def _policy() -> dict[str, Any]:
    return {
        "retry": tenacity.retry_if_exception(is_transient),
        "wait": _wait,
        "stop": functools.partial(_is_over, limit=retry_seconds()),
        "reraise": True,
    }


_backoff: Final = tenacity.wait_random_exponential(multiplier=0.2, max=10)


def _wait(state: tenacity.RetryCallState) -> float:
    return max(_backoff(state), _asked_wait(state))


def _is_over(state: tenacity.RetryCallState, limit: float) -> bool:
    """As `tenacity.stop_before_delay`, but a wait for which the server asks may end later than that."""
    asked, elapsed = _asked_wait(state), state.seconds_since_start or 0.0
    if asked > 0 and limit > 0:
        return asked > _LONGEST_WAIT or elapsed >= limit
    return elapsed + state.upcoming_sleep >= limit


def _asked_wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return retry_after(error) if error else 0.0


def retry_after(error: BaseException) -> float:
    """Seconds that a server asks to wait in the header Retry-After (RFC 9110, section 10.2.3); 0 if it does not."""
    text = str((getattr(error, "headers", None) or {}).get("Retry-After", "")).strip()
    if text.isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return max(0.0, (until - datetime.datetime.now(datetime.UTC)).total_seconds())


def _give_up(what: str, error: BaseException) -> NoReturn:
    of_an_option = isinstance(error, TypeError) and "unexpected keyword argument" in str(error)
    if isinstance(error, FileNotFoundError | TypeError) and not of_an_option:
        raise error
    raise StorageError(f"cannot {what}: {explain(error)}") from None


def _persistence(error: BaseException) -> str:
    if not is_transient(error):
        return ""
    if (asked := retry_after(error)) > _LONGEST_WAIT:
        return f" and asks to wait {asked:,.0f} s; try again then"
    return f", also when tried again for {retry_seconds():g} s"


def _client_errors() -> tuple[type[BaseException], ...]:
    # TypeError is what becomes of storage options that fsspec does not know but passes on.
    return (OSError, TypeError, aiohttp.ClientError, http.client.HTTPException, *_loaded(_CLIENT_ERRORS))


def _loaded(names: Mapping[str, tuple[str, ...]]) -> tuple[type[BaseException], ...]:
    """Classes of the modules that are in use: a client that was never imported raises nothing."""
    return tuple(
        getattr(sys.modules[module], name) for module in names if module in sys.modules for name in names[module]
    )


def status_of(error: BaseException) -> int | None:
    """HTTP status of an answer, as aiohttp, gcsfs and botocore give it; s3fs names botocore's error as the cause."""
    if isinstance(error, aiohttp.ClientPayloadError):  # of which the cause has a status that no server sent
        return None
    for candidate in (error, error.__cause__):
        for name in ("status", "status_code", "code"):
            if isinstance(value := getattr(candidate, name, None), int):
                return value
        response = getattr(candidate, "response", None)
        if isinstance(response, Mapping):
            value = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if isinstance(value, int):
                return value
    return None
