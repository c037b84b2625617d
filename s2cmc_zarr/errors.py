"""The errors that this package raises on purpose: each says what was found, what was expected, what to do."""


class CatalogueError(ValueError):
    """Something about a release, a store or a request is not as it must be.

    The command line prints the message alone and exits with 1; a traceback from `s2cmc` is always a bug.
    """


class DefectError(CatalogueError):
    """The content of one scene contradicts the published layout or the tag table."""


class IncompleteStoreWarning(UserWarning):
    """A store was opened whose conversion has not finished."""


class DefectWarning(UserWarning):
    """Scenes contradict the published layout or the tag table and were skipped or marked, as asked."""


class DownloadWarning(UserWarning):
    """Part of a download was in vain and is done again: the server gave no ranges, or wrong bytes."""
