"""What GitHub keeps on other hosts than its API's: read without the token, and never more of it than was asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evalgate.errors import GitHubError
from evalgate.github.refusals import NotFoundError, silence

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

_LONGEST_S = 120.0
_STORAGE = "GitHub's storage of artifacts"


def fetch(address: str, *, most_bytes: int, adapter: HTTPAdapter, longest_s: float = _LONGEST_S) -> bytes:
    """What lies at this address, to which GitHub's API has led.

    Raises NotFoundError where it is gone; GitHubError where it is larger, takes longer than `longest_s` seconds, or
    where nobody answers. The address is as good as a key for some minutes, so that no message has it.
    """
    import requests
    import urllib3

    ends, content = time.monotonic() + longest_s, bytearray()
    try:
        with (
            _without_credentials(adapter) as session,
            session.get(address, stream=True, timeout=(10, 30), allow_redirects=False) as answer,
        ):
            _check(answer)
            # As it is on the wire: a compressed answer could become more than was asked for.
            while part := answer.raw.read1(2**16, decode_content=False):
                content += part
                if len(content) > most_bytes:
                    raise GitHubError(f"{_STORAGE} sent more than the {most_bytes:,} bytes that are taken")
                if time.monotonic() > ends:
                    raise GitHubError(f"{_STORAGE} is too slow: {len(content):,} bytes in {longest_s:g} s. Try again")
    except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
        raise silence(f"{_STORAGE} did not answer", fault) from None
    return bytes(content)


def _without_credentials(adapter: HTTPAdapter) -> requests.Session:
    """A session that knows proxies and certificates, but no token, and nothing that ~/.netrc has for the host."""
    import requests

    session = requests.Session()
    session.auth = lambda request: request
    session.headers.update({"User-Agent": "evalgate", "Accept-Encoding": "identity"})
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _check(answer: requests.Response) -> None:
    if answer.status_code in (404, 410):
        raise NotFoundError(f"{_STORAGE} answered {answer.status_code}: the artifact is gone")
    if answer.status_code != 200:
        raise GitHubError(f"{_STORAGE} answered {answer.status_code}. Run the job again later")
