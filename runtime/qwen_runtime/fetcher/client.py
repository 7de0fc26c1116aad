"""The HTTP client of the fetcher: usual proxies, the system's authorities and those of the user."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2

from qwen_contract.failure import FailureReason
from qwen_contract.pod import CA_BUNDLE_VARIABLE
from qwen_runtime.fetcher.failures import (
    FetchFailed,
    Transient,
    Wanted,
    explain_status,
    explain_untrusted,
)
from qwen_runtime.fetcher.retries import read_retry_after

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
"""Without a byte; a hub that is slower than that is asked again for the rest."""


def build_client() -> httpx2.Client:
    """Follows redirects, takes proxies from the environment, drops the token on another host."""
    return httpx2.Client(
        verify=_build_tls_context(),
        follow_redirects=True,
        timeout=httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
    )


def _build_tls_context() -> ssl.SSLContext:
    """Authorities of the system and, beside them, the user's bundle.

    OpenSSL itself would take the bundle instead of the system's, and a private authority for a
    proxy would make the hub's public content servers untrusted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    system = ssl.get_default_verify_paths()
    if Path(system.openssl_cafile).is_file():
        context.load_verify_locations(cafile=system.openssl_cafile)
    if Path(system.openssl_capath).is_dir():
        context.load_verify_locations(capath=system.openssl_capath)
    if bundle := os.environ.get(CA_BUNDLE_VARIABLE):
        try:
            context.load_verify_locations(cafile=bundle)
        except OSError as error:  # no such file, or no certificates in it
            raise FetchFailed(
                FailureReason.DOWNLOAD_FAILED,
                f"{bundle}, which {CA_BUNDLE_VARIABLE} names, holds no certificates in PEM: "
                f"{error.strerror or error}; see spec.source.caBundle",
            ) from None
    return context


def explain_answer(wanted: Wanted, response: httpx2.Response) -> FetchFailed | Transient:
    """What an answer of 400 and above means."""
    return explain_status(
        wanted,
        status=response.status_code,
        code=response.headers.get("X-Error-Code", ""),
        of_content_server=response.url.host != httpx2.URL(wanted.endpoint).host,
        retry_after_seconds=read_retry_after(response.headers, datetime.now(UTC)),
    )


def explain_broken(
    wanted: Wanted, error: httpx2.HTTPError | httpx2.InvalidURL
) -> FetchFailed | Transient:
    """What a connection that failed or broke means."""
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return explain_untrusted(wanted, text.rpartition("CERTIFICATE_VERIFY_FAILED]")[2].strip())
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return FetchFailed(
            FailureReason.DOWNLOAD_FAILED,
            f"{wanted.endpoint} is no address of a hub: {text}; see {wanted.field}.endpoint",
        )
    return Transient(f"the connection to {wanted.endpoint} failed: {text}")
