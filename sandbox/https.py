"""HTTPS for ResponseURLs: a certificate authority of this sandbox's own, and a listener with its
certificate."""

from __future__ import annotations

import ipaddress
import logging
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

logger = logging.getLogger("sandbox")

_LIFETIME = timedelta(days=365)
_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""By which botocore, requests, and Python's `ssl` (so `http.client`, `urllib` and urllib3) find the
authorities that they trust."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a listener shows, and by what a client trusts it.

    Attributes:
        context: the server's, with its certificate.
        bundle: a PEM file of the authorities that are usually trusted, and of this sandbox's.
    """

    context: ssl.SSLContext
    bundle: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment variables by which Python's HTTPS clients trust the listener."""
        return dict.fromkeys(_VARIABLES, str(self.bundle))


@contextmanager
def made(host: str) -> Iterator[Trust]:
    """A new authority, with a certificate for a host. Its files are deleted at the end, and the
    keys are never in a file that stays."""
    with tempfile.TemporaryDirectory(prefix="sandbox-https-") as name:
        authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _authority(authority)
        chain = Path(name) / "server.pem"
        chain.touch(0o600)
        chain.write_bytes(_private(own) + _pem(_certificate(host, own, root, authority)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        chain.unlink()
        bundle = Path(name) / "authorities.pem"
        bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + _pem(root))
        yield Trust(context, bundle)


def listener(
    host: str,
    app: Callable[..., Any],
    handler: type[WSGIRequestHandler],
    context: ssl.SSLContext,
) -> BaseWSGIServer:
    """A server on a free port. Handshakes take place in the requests' own threads, so that a client
    that is slow there keeps nobody waiting."""

    class Secured(handler):  # type: ignore[valid-type, misc]  # a class that the caller chose
        def __init__(self, request: Any, *server: Any) -> None:
            try:
                secured = context.wrap_socket(request, server_side=True)
            except OSError as problem:  # the client has gone, or does not trust the certificate
                logger.info("no TLS handshake: %s", problem)
                return
            with secured:
                super().__init__(secured, *server)

    return make_server(host, 0, app, threaded=True, request_handler=Secured)


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("Sandbox authority")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    host: str,
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    authority: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    return (
        _builder(_name(host), root.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(host)]), critical=False)
        .add_extension(by, critical=False)
        .sign(authority, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    usages = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**(dict.fromkeys(usages, False) | allowed))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
