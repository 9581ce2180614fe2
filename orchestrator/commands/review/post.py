"""An export on its way to an address: one HTTP request, within a time limit."""

from __future__ import annotations

import re

from orchestrator.base.errors import UsageError
from orchestrator.base.quoting import shown

_URL = re.compile(r"https?://[^\s/?#]+\S*")


def check_url(url: str) -> None:
    """Raise UsageError unless ``url`` is an address of HTTP or HTTPS with a host."""
    if _URL.fullmatch(url) is None:
        guess = f"--to https://{url}" if re.match(r"[\w.-]+(:[0-9]+)?(/|$)", url) else "--to https://HOST/PATH"
        raise UsageError(f"--to is {shown(url)}, which is no address of HTTP", hint=guess, code="bad-url")


def post(url: str, data: bytes, media_type: str, timeout: float) -> None:
    """Send ``data`` by POST; UsageError (``not-delivered``) when nobody takes it within ``timeout`` seconds."""
    import http.client
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    request = Request(url, data=data, headers={"Content-Type": media_type}, method="POST")  # noqa: S310 -- checked
    try:
        with urlopen(request, timeout=timeout):  # noqa: S310 -- check_url allows HTTP and HTTPS only
            return
    except HTTPError as error:
        error.close()
        why = f"the receiver answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = str(getattr(error, "reason", None) or error)
    raise UsageError(
        f"'{url}' did not take it: {why}",
        hint="nothing was recorded of it, so the command can be repeated",
        code="not-delivered",
    )
