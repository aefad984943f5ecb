"""Identities in a run: a certificate authority made for it, and a certificate per actor.

A certificate names the actor, and the role and name of each entity that lives there, as a URI
`urn:qsagin:ROLE:ENTITY`.  The authority's key is kept in memory while actors are being started and is
written nowhere; certificates are worth nothing in another run.  A resumed run creates a new authority, and
with the last process of a run its keys are gone.  So nothing needs to expire: certificates have no end that
matters (RFC 5280, 4.1.2.5), and no clock that is set back or held up keeps an actor from coming back.

gRPC ends handshakes in which a certificate is too large, so one cannot name any number of entities:
`certificates_needed` says how many are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from math import ceil
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protos.core import role_of

_VALID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NAME_LIMIT = 64
_MOST_NAMED_BYTES = (
    5_000  # 7,000 were seen to work, 8,000 to fail: a handshake says more than names
)


@dataclass(frozen=True)
class Identity:
    """What an actor proves its identity with, and the authority that it accepts; all PEM."""

    name: str
    certificate: bytes
    private_key: bytes = field(repr=False)
    authority: bytes = field(repr=False)


class Authority:
    """Issues the certificates of one run."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name("qsagin run authority")
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, actor: str, entities: Iterable[str]) -> Identity:
        """Return an identity for an actor and the entities that live there."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(server_name(actor))]
        names += [x509.UniformResourceIdentifier(uri(entity)) for entity in (actor, *entities)]
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            self._builder(_common_name(actor), key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return Identity(
            actor,
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            self._certificate.public_bytes(serialization.Encoding.PEM),
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_VALID_FROM)
            .not_valid_after(_VALID_UNTIL)
        )


def uri(entity: str) -> str:
    """Return the URI that stands for an entity in its role."""
    return f"urn:qsagin:{role_of(entity).value}:{quote(entity, safe='')}"


def certificates_needed(entities: Iterable[str]) -> int:
    """Return the least number of certificates that can name these entities, shared evenly."""
    return ceil(sum(len(uri(entity)) for entity in entities) / _MOST_NAMED_BYTES)


def server_name(actor: str) -> str:
    """Return the name by which a client makes sure that it speaks to this actor."""
    return f"{blake2b(actor.encode(), digest_size=12).hexdigest()}.qsagin.internal"


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_NAME_LIMIT])])
