"""The way to the engine: what dask needs for mutual TLS, and a probe that tells within seconds why there is none."""

from __future__ import annotations

import errno
import socket
import ssl
import time

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.installation import extra_hint, recorded_source
from orchestrator.base.record import Record
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.cloud.client_imports import import_client
from orchestrator.config.cloud_policy import CloudPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from distributed import Security

PROBE_SECONDS = 5.0
"""Contract, section 12: ``engine-unreachable`` within 5 s."""

_READ_SECONDS = 2.0
"""Under TLS 1.3 a client's handshake ends before the server has looked at its certificate: its refusal is read after
(RFC 8446, section 4.4.2). A dask scheduler sends its greeting at once, so whoever accepts us is heard before that."""


class Unreachable(Record):
    """Why the engine can't be talked to.

    ``reason`` is ``unreachable``, ``no-answer``, ``wrong-ca``, ``certificate-refused``, ``no-tls`` or
    ``not-an-engine``; ``text`` says it to people.
    """

    reason: str
    text: str


def require_distributed() -> None:
    """Import of the engine's library what a client needs. Raises UsageError ``no-extra`` where it is not installed."""
    try:
        import_client()
    except ImportError as error:
        raise UsageError(
            f"cloud mode needs the extra 'cloud', which is not installed ({error.name or error} is missing)",
            hint=extra_hint("cloud", recorded_source()),
            code="no-extra",
        ) from error


def security_of(policy: CloudPolicy) -> Security | None:
    """Return dask's settings for mutual TLS, for clients and servers; None without TLS. Raises UsageError."""
    require_distributed()
    if not policy.is_encrypted:
        return None
    tls_context(policy)  # a file that is no certificate is named here, not in a traceback of the library
    from distributed.security import Security

    pairs = {f"tls_{role}_{kind}": path for role in ("client", "scheduler", "worker") for kind, path in _pair(policy)}
    return Security(tls_ca_file=policy.ca, require_encryption=True, **pairs)  # type: ignore[no-untyped-call]


def tls_context(policy: CloudPolicy) -> ssl.SSLContext:
    """Return a client's context with the policy's files. Raises ConfigError for one that holds something else.

    Names of hosts are not checked, as dask does not: the authority's signature is what counts.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(policy.ca)
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"{WORKSPACE_FILE}: cloud.ca: {policy.ca} is no certificate in PEM form: {error}"]
        ) from error
    try:
        # A password would be asked for on the terminal; dask can't be given one.
        context.load_cert_chain(str(policy.cert), policy.key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"{WORKSPACE_FILE}: cloud.cert, cloud.key: are no certificate and its key in PEM form: {error}"],
            hint="the key must be the certificate's own, and without a password",
        ) from error
    return context


def probe(policy: CloudPolicy, timeout_seconds: float = PROBE_SECONDS) -> Unreachable | None:
    """Connect to the scheduler and hear its greeting; return why it can't be talked to, None when it can.

    It takes ``timeout_seconds`` at most, names of hosts that are looked up apart. Raises ConfigError for files that are
    no certificates.
    """
    until = time.monotonic() + timeout_seconds
    context = tls_context(policy) if policy.is_encrypted else None
    where = policy.scheduler
    try:
        plain = socket.create_connection(policy.place, timeout=timeout_seconds)
    except TimeoutError:
        return Unreachable("no-answer", f"{where} did not answer within {timeout_seconds:g} s")
    except OSError as error:
        return Unreachable("unreachable", f"{where} can't be reached: {error.strerror or error}")
    with plain:
        if context is None:
            return _greeting(plain, where, until)
        plain.settimeout(max(0.1, until - time.monotonic()))
        try:
            with context.wrap_socket(plain) as encrypted:
                return _greeting(encrypted, where, until)
        except TimeoutError:
            return Unreachable(
                "no-answer", f"{where} accepts connections and does not answer: no TLS in {timeout_seconds:g} s"
            )
        except ssl.SSLError as error:
            return _refused(error, where)
        except OSError as error:
            return _ended(error, where)


def require_engine(policy: CloudPolicy, timeout_seconds: float = PROBE_SECONDS) -> None:
    """Return when the scheduler can be talked to. Raises UsageError ``engine-unreachable``, which says why not."""
    found = probe(policy, timeout_seconds)
    if found is not None:
        raise UsageError(found.text, hint=hint_for(found), code="engine-unreachable")


def hint_for(found: Unreachable) -> str:
    """Return what to do about it."""
    return _HINTS.get(found.reason, "is the scheduler running, and does a firewall let this machine reach its port?")


_HINTS = {
    "wrong-ca": "[cloud] ca must be the authority that signed the scheduler's certificate",
    "certificate-refused": "[cloud] cert must be signed by the authority that the scheduler trusts, and not be expired",
    "no-tls": "start the scheduler with --tls-ca-file, --tls-cert and --tls-key",
    "not-an-engine": "the port is another program's, or the scheduler's dashboard",
}


def _pair(policy: CloudPolicy) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
    return ("cert", policy.cert), ("key", policy.key)


def _greeting(connection: socket.socket, where: str, until: float) -> Unreachable | None:
    """Read the first bytes that a scheduler of dask sends by itself: one frame with its handshake."""
    connection.settimeout(max(0.1, min(_READ_SECONDS, until - time.monotonic())))
    try:
        said = connection.recv(64)
    except TimeoutError:
        return Unreachable("not-an-engine", f"{where} accepts connections and does not greet as a scheduler does")
    except ssl.SSLError as error:
        return _refused(error, where)
    except OSError as error:
        return _ended(error, where)
    if not said:
        return Unreachable("no-tls" if where.startswith("tcp:") else "certificate-refused", _CLOSED.format(where))
    return None


_CLOSED = "{} closed the connection as soon as it was made: it does not take our certificate, or wants TLS"


def _refused(error: ssl.SSLError, where: str) -> Unreachable:
    reason = (error.reason or "").upper()
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            "wrong-ca", f"{where} has a certificate that [cloud] ca did not sign: {error.verify_message}"
        )
    if "ALERT" in reason or "CERTIFICATE" in reason:
        said = reason.lower().replace("_", " ") or str(error)
        return Unreachable("certificate-refused", f"{where} refused our certificate ({said})")
    return Unreachable("no-tls", f"{where} does not speak TLS ({reason.lower().replace('_', ' ') or error})")


def _ended(error: OSError, where: str) -> Unreachable:
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return Unreachable(
            "certificate-refused", f"{where} closed the connection: it refused our certificate, or knows no TLS"
        )
    return Unreachable("unreachable", f"{where} can't be reached: {error.strerror or error}")
