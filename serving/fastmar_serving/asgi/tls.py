"""The certificate of the inference API."""

from __future__ import annotations

import ssl

from fastmar_serving.errors import ConfigRefused
from fastmar_serving.settings import Settings


def check_certificate(settings: Settings) -> None:
    """Check the files of `--tls-cert` and `--tls-key`, if they are given, before the workers read them.

    Raises:
        ConfigRefused: one of them is missing, unreadable or invalid, or they do not belong together.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None and key is None:
        return
    if cert is None or key is None:
        raise ConfigRefused(
            f"{'--tls-key' if cert is None else '--tls-cert'} is given without "
            f"{'--tls-cert' if cert is None else '--tls-key'}.",
            fix="give both: --tls-cert is the file of the certificate chain, --tls-key that of its private key.",
            code="tls_incomplete",
        )
    for file in (cert, key):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigRefused(
                f"{file} can't be read: {error.strerror or error}.",
                fix="give --tls-cert and --tls-key files that this user may read.",
                code="tls_unreadable",
            ) from error
    try:
        # The empty password makes OpenSSL refuse an encrypted key, instead of asking for its password on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError) as error:
        mismatch = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
        problem = "do not belong together" if mismatch else "are not a certificate chain and its key as PEM"
        raise ConfigRefused(
            f"{cert} and {key} {problem}: {error}.",
            fix="give PEM files: the certificate of the server first in --tls-cert, and its key without a password.",
            code="tls_invalid",
        ) from error
