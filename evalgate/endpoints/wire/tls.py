"""Whom a TLS connection trusts, and what its errors mean to a user. The only place with certificates."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from evalgate.errors import CallError, CallFault, Fault, InputError

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
