"""Certificates of SAEs and of the doors that they knock at: an authority of its own for every run.

It has nothing to do with that of the actors, so no SAE can speak to an actor.  Its key is in the run
folder, for its owner only, so that `qsagin access` can issue certificates while the run lasts; a finished
run has none.  An SAE is who its certificate says, by a URI `urn:qsagin:sae:ID`, and so is an operator, by
`urn:qsagin:operator:ID`; the common name is for people.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FILE = "access-authority.pem"
_URIS = {"sae": "urn:qsagin:sae:", "operator": "urn:qsagin:operator:"}
_VALID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NAME_LIMIT = 64


@dataclass(frozen=True)
class Credentials:
    """A certificate with its key; both PEM."""

    certificate: bytes
    private_key: bytes = field(repr=False)


class AccessAuthority:
    """Issues certificates; see the module."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key, self._certificate = key, certificate

    @classmethod
    def new(cls) -> AccessAuthority:
        """Return an authority that nobody has known before."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("qsagin access authority")
        extensions = (
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_usage(sign_certificates=True), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        )
        builder = _builder(name, name, key.public_key(), extensions)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def of(cls, run_folder: Path) -> AccessAuthority:
        """Return the authority of a run.  Raises `FileNotFoundError` if it has none (any more)."""
        text = (run_folder / FILE).read_bytes()
        key = serialization.load_pem_private_key(text, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{run_folder / FILE}: holds another kind of key")
        return cls(key, x509.load_pem_x509_certificate(text))

    @classmethod
    def kept(cls, run_folder: Path) -> AccessAuthority:
        """Return the authority of a run, from its folder if it is resumed."""
        with suppress(FileNotFoundError):
            return cls.of(run_folder)
        made = cls.new()
        made.write(run_folder / FILE)
        return made

    def write(self, path: Path) -> None:
        """Write its key and certificate, for the owner only."""
        _write_private(path, _private(self._key) + self.certificate)

    @property
    def certificate(self) -> bytes:
        """The certificate by which all others are verified; PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def sae(self, sae: str) -> Credentials:
        """Return new credentials for an SAE."""
        return self._client("sae", sae)

    def operator(self, operator: str) -> Credentials:
        """Return new credentials for an operator."""
        return self._client("operator", operator)

    def _client(self, role: str, name: str) -> Credentials:
        uri = x509.UniformResourceIdentifier(_URIS[role] + quote(name, safe=""))
        return self._issue(name, [uri], ExtendedKeyUsageOID.CLIENT_AUTH)

    def door(self, key_manager: str, addresses: Iterable[str]) -> Credentials:
        """Return new credentials for the door of a key manager, which is reached at these addresses."""
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        for address in addresses:
            with suppress(ValueError):
                names.append(x509.IPAddress(ipaddress.ip_address(address)))
        return self._issue(key_manager, names, ExtendedKeyUsageOID.SERVER_AUTH)

    def _issue(
        self, name: str, names: list[x509.GeneralName], purpose: x509.ObjectIdentifier
    ) -> Credentials:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self._key.public_key()
        extensions = (
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([purpose]), True),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(sign_certificates=False), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False),
        )
        subject = _named(name)
        builder = _builder(subject, self._certificate.subject, key.public_key(), extensions)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Credentials(certificate.public_bytes(serialization.Encoding.PEM), _private(key))


def sae_of(peer: Mapping[str, Any]) -> str:
    """Return the SAE that a verified certificate names, as `SSLSocket.getpeercert` gives it, or nothing."""
    return _named_in(peer, "sae")


def operator_of(peer: Mapping[str, Any]) -> str:
    """Return the operator that a verified certificate names, or nothing."""
    return _named_in(peer, "operator")


def _named_in(peer: Mapping[str, Any], role: str) -> str:
    uri = _URIS[role]
    found = [
        unquote(value.removeprefix(uri))
        for kind, value in peer.get("subjectAltName", ())
        if kind == "URI" and value.startswith(uri)
    ]
    return found[0] if len(found) == 1 else ""


def write_credentials(folder: Path, credentials: Credentials, authority: bytes) -> None:
    """Write what an SAE needs into a folder, its key for the owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "certificate.pem").write_bytes(credentials.certificate)
    (folder / "ca.pem").write_bytes(authority)
    _write_private(folder / "key.pem", credentials.private_key)


def _write_private(path: Path, text: bytes) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(text)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return builder


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_NAME_LIMIT])])
