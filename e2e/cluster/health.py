"""Questions that tell whether a component serves."""

import http.client
import socket
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path

from e2e.cluster.certificates import KeyPair

_TIMEOUT_SECONDS = 2


def answers(url: str, authority: Path | None = None, identity: KeyPair | None = None) -> bool:
    """Whether a GET gives 200. Without an authority the server's certificate is not looked at."""
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    # Components are on this machine, where a proxy that the environment names has no part.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as response:
            return bool(response.status == http.HTTPStatus.OK)
    except (OSError, http.client.HTTPException):
        return False


def when_answers(
    url: str, authority: Path | None = None, identity: KeyPair | None = None
) -> Callable[[], bool]:
    """The question, to be asked later."""
    return lambda: answers(url, authority, identity)


def free_port() -> int:
    """A port of this machine that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
