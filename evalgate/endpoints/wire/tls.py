"""TLS: whom it trusts, its bytes, and what its errors mean to a user. The only place with certificates."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from evalgate.errors import CallError, CallFault, Fault, InputError

_RECORD_BYTES = 16 * 1024

_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their authorities: for a Python whose OpenSSL was built to look elsewhere."""

_ADVICE = {
    9: "Check this machine's clock",
    10: "Renew it on the server, or check this machine's clock",
    62: "Check the host name in the URL",
    64: "Write the name that it was issued for instead of the address",
}
"""By OpenSSL's code: not valid yet, expired, another name, another address."""


def trusting(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Verifies certificates and names against SSL_CERT_FILE and SSL_CERT_DIR, or else against the system's store.

    Raises InputError where these variables name nothing that can be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies both, unlike SSLContext's other purposes
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION  # so that writing never has to wait for reading
    file, folder = environ.get("SSL_CERT_FILE") or None, environ.get("SSL_CERT_DIR") or None
    if file is None and folder is None:
        context.load_default_certs()
        _help_out(context)
        return context
    for name, value in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)):
        if value is not None and not Path(value).exists():
            raise InputError(Fault(where=name, what="it does not exist", hint="Name a PEM file or folder, or unset it"))
    try:
        context.load_verify_locations(file, folder)
    except (ssl.SSLError, OSError) as error:
        hint = "It has to hold certificates in PEM"
        raise InputError(Fault(where="SSL_CERT_FILE", what=f"cannot be read: {error}", hint=hint)) from None
    return context


def _help_out(context: ssl.SSLContext) -> None:
    folder = ssl.get_default_verify_paths().capath
    if context.cert_store_stats()["x509_ca"] or (folder and any(Path(folder).iterdir())):
        return  # those of the folder are read when they are needed
    store = next((path for path in _STORES if Path(path).is_file()), None)
    if store is not None:
        context.load_verify_locations(store)


class Cipher:
    """One TLS session between bytes in the clear and bytes on the way. Opens no socket.

    In place of asyncio's, which holds a buffer of 256 KiB for each connection.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.is_ready = False
        """Whether the handshake is over, the certificate and its name verified."""
        self.is_ended = False
        """Whether the other side has said that nothing more comes."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._shake()

    def outgoing(self) -> bytes:
        """What has to be sent now."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """`data` as it is sent."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._session.write(rest) :]
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """What `data` says in the clear, as far as it came. Raises ssl.SSLError; `outgoing` then says why."""
        self._incoming.write(data)
        if not self.is_ready and not self._shake():
            return b""
        parts = []
        try:
            while part := self._session.read(_RECORD_BYTES):
                parts.append(part)
            self.is_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _shake(self) -> bool:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.is_ready = True
        return True


def failure(error: ssl.SSLError, place: str) -> CallError:
    """What a handshake that failed means. A certificate that is not trusted will not be the next time either."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message.rstrip(".")
        advice = _ADVICE.get(
            error.verify_code, "For a certificate of your own authority set SSL_CERT_FILE to its PEM file"
        )
        return CallError(CallFault.CERTIFICATE, f"the certificate of {place} is not trusted: {said}. {advice}")
    reason = (error.reason or str(error)).lower().replace("_", " ")
    if "wrong version number" in reason or "http request" in reason or "record layer failure" in reason:
        return CallError(
            CallFault.BAD_ANSWER,
            f"{place} does not answer in TLS ({reason}). Check port and scheme: is it http:// there?",
        )
    if "alert" in reason:
        return CallError(
            CallFault.REFUSED_REQUEST,
            f"{place} refuses the TLS connection ({reason}). Check its TLS versions, and whether it asks for a "
            "certificate of the client, which cannot be sent",
        )
    return CallError(
        CallFault.CONNECTION, f"no TLS connection to {place}: {reason}. Check whether the server speaks HTTPS there"
    )
