"""The errors that this package raises on purpose: each says what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

# What is between the first colon and the @, unless that is a port and the @ stands in the path.
PASSWORD: Final = re.compile(r"(?<=://)([^/@\s\[]*):(?!\d+(?:[/\s]|$))[^@\s]*@")
# Of a URL, or whatever begins as a query does; what punctuation ends it belongs to the sentence.
_QUERY: Final = re.compile(r"(://[^\s?'\"<>]*)\?[^\s'\"<>]*[^\s'\"<>.,:;)]|()\?[\w.~%-]+=[^\s'\"<>]*[^\s'\"<>.,:;)]")


def redact(text: str) -> str:
    """Take out of a text what in URLs may be secret: passwords, and queries, which may be signatures."""
    return _QUERY.sub(r"\1?…", PASSWORD.sub(r"\1:…@", text))


def suggestion(word: str, choices: Iterable[object]) -> str:
    """Give the end of a sentence that asks whether one of the choices was meant; empty if none is like the word."""
    by_lower = {str(choice).lower(): str(choice) for choice in choices}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


class _Discreet(Exception):  # noqa: N818  # the base of warnings, too
    """Its message says nothing that is secret."""

    def __init__(self, message: object = "", *args: object) -> None:
        super().__init__(redact(message) if isinstance(message, str) else message, *args)


class CatalogueError(_Discreet, ValueError):
    """Something about a release, a store or a request is not as it must be.

    The command line prints the message alone and exits with 1; a traceback from `s2cmc` is always a bug.
    """


class DefectError(CatalogueError):
    """The content of one scene contradicts the published layout or the tag table."""


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Make one `CatalogueError`, which says what failed and where, of whatever the code of others raises.

    Parameters
    ----------
    what : str
        Begins the message, e.g. ``"model mine"``.
    """
    try:
        yield
    except CatalogueError:
        raise
    except Exception as error:
        file, line, *_ = traceback.extract_tb(error.__traceback__)[-1]
        raise CatalogueError(f"{what} failed: {type(error).__name__}: {error} ({file}, line {line})") from error


class IncompleteStoreWarning(_Discreet, UserWarning):
    """A store was opened whose conversion has not finished."""


class DefectWarning(_Discreet, UserWarning):
    """Scenes contradict the published layout or the tag table and were skipped or marked, as asked."""


class DownloadWarning(_Discreet, UserWarning):
    """Part of a download was in vain and is done again: the server gave no ranges, or wrong bytes."""
