"""An export on its way to an address: one HTTP request, within a time limit."""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.base.errors import UsageError
from orchestrator.base.quoting import shown
from orchestrator.base.redaction import Redactor
from orchestrator.report.exports.otlp_http import answered

_URL = re.compile(r"https?://[^\s/?#]+\S*")


def check_url(url: str) -> None:
    """Raise UsageError unless ``url`` is an address of HTTP or HTTPS with a host."""
    if _URL.fullmatch(url) is None:
        guess = f"--to https://{url}" if re.match(r"[\w.-]+(:[0-9]+)?(/|$)", url) else "--to https://HOST/PATH"
        raise UsageError(f"--to is {shown(url)}, which is no address of HTTP", hint=guess, code="bad-url")


def post(url: str, data: bytes, media_type: str, timeout: float) -> None:
    """Send ``data`` by POST; UsageError (``not-delivered``) when nobody takes it within ``timeout`` seconds."""
    why = within(timeout, lambda: _answer_to(url, data, media_type, timeout))
    if why is not None:
        raise not_delivered(f"'{url}' did not take it: {why}")


def not_delivered(message: str) -> UsageError:
    """Return the refusal of an export that nobody took; a password in an address is not shown."""
    return UsageError(
        Redactor(()).text(message),
        hint="see whether the receiver runs, and its address; nothing was recorded, so the command can be repeated",
        code="not-delivered",
    )


def within(seconds: float, send: Callable[[], str | None]) -> str | None:
    """Return what ``send`` returns: why nobody took it, None when somebody did; after ``seconds`` it is left alone.

    A socket's own limit is for each of its waits: a receiver that sends a byte now and then could hold a command for
    ever. What ``send`` raises is a reason, too: libraries of others have errors of their own.
    """
    import threading

    ends: list[str | None] = []

    def run() -> None:
        try:
            ends.append(send())
        except Exception as error:  # whatever it is, the export waits, and the command goes on
            ends.append(str(getattr(error, "message", error)) or type(error).__name__)

    thread = threading.Thread(target=run, name="export", daemon=True)
    thread.start()
    thread.join(seconds)
    return ends[0] if ends else f"no answer within {seconds:g} s"


def _answer_to(url: str, data: bytes, media_type: str, timeout: float) -> str | None:
    import http.client
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Refused(HTTPRedirectHandler):
        """Follows no redirection: the other address would be asked without the data, and its answer be no proof."""

        def redirect_request(self, *_: object) -> None:
            """Take the answer as it is."""

    request = Request(url, data=data, headers={"Content-Type": media_type}, method="POST")  # noqa: S310 -- checked
    try:
        # check_url allows HTTP and HTTPS only.
        with build_opener(Refused).open(request, timeout=timeout):
            return None
    except HTTPError as error:
        error.close()
        return answered(error.code, error.headers.get("Location"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", None) or error)
