from __future__ import annotations

import pickle
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2cmc_zarr import CatalogueError, DefectError, DownloadWarning, IncompleteStoreWarning, open_release, open_store
from s2cmc_zarr.errors import redact, suggestion
from s2cmc_zarr.retrying import StorageError

SECRETS = st.text(string.ascii_letters + string.digits + "-_~%+=/", min_size=3).map("SECRET{}".format)
PASSWORDS = st.text(string.printable, min_size=1).map(lambda text: quote(f"SECRET{text}", safe=""))


@given(SECRETS, PASSWORDS, st.sampled_from(["sig", "X-Amz-Signature", "X-Goog-Signature", "token"]))
def test_what_may_be_secret_in_a_url_is_not_said(signature: str, password: str, name: str) -> None:
    for url in (
        f"https://host/folder/file.zip?{name}={signature}",
        f"https://host:8080/a@b?se=2026-01-01&{name}={signature}&sv=1",
        f"https://host?{signature}",
        f"https://user:{password}@host/folder",
        f"ftp://user:{password}@host:21/a?{name}={signature}",
        f"zip::https://:{password}@host/x.zip",
        f"/container/file?{name}={signature}",
    ):
        for text in (url, f"cannot read {url}: no answer", f"{url} is not there, nor {url}; look", f"it is '{url}'."):
            shown = redact(text)
            assert "SECRET" not in shown
            assert signature not in shown
            assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/a@b/c.npy: no answer",
        "abfs://container@account.dfs.core.windows.net/release",
        "the server at http://[::1]:8080 gives no ranges; is it another file? See a@b.c",
        "is it the catalogue?",
        "/data/a?b/c: 3 bytes",
    ],
)
def test_what_is_not_secret_is_said(text: str) -> None:
    assert redact(text) == text


def test_redaction_leaves_the_sentence() -> None:
    found = redact("cannot read https://user:word@host/x.zip?sig=a/b%2B==: no answer; see https://host/y?z, too.")
    assert found == "cannot read https://user:…@host/x.zip?…: no answer; see https://host/y?…, too."


@pytest.mark.parametrize("kind", [CatalogueError, DefectError, StorageError, IncompleteStoreWarning, DownloadWarning])
def test_no_error_or_warning_of_this_package_says_a_secret(kind: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(kind("https://host/x?sig=SECRET is not there")))  # noqa: S301  # made here
    assert str(error) == "https://host/x?… is not there"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/release?sig=SECRET", "zip::http://127.0.0.1:1/x.zip?sig=SECRET"])
def test_opening_a_url_with_a_signature_does_not_say_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2CMC_RETRY_SECONDS", "0")
    for function in (open_release, open_store):
        with pytest.raises(CatalogueError) as caught:
            function(url)
        assert "SECRET" not in str(caught.value)
        assert "127.0.0.1:1/" in str(caught.value)


def test_a_word_like_another_is_suggested() -> None:
    assert suggestion("snow/icy", ["thin", "snow/ice"]) == "; did you mean 'snow/ice'?"
    assert suggestion("moods", ["thin", "snow/ice"]) == ""
