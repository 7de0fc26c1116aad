"""Certificates of the cluster: one authority, and a key pair for each component."""

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME: Final = datetime.timedelta(days=365)
_CLOCK_SKEW: Final = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """Files of a certificate and its key, in PEM."""

    certificate: Path
    key: Path


class Authority:
    """Certificate authority whose files lie in one folder; it is made on first use."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.files = KeyPair(folder / "ca.crt", folder / "ca.key")
        if not self.files.certificate.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name("qwen-e2e", "")
            certificate = (
                _builder(name, name, key.public_key())
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .sign(key, hashes.SHA256())
            )
            _write(self.files, certificate, key)
        self._certificate = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())
        self._key = _read_private(self.files.key)

    def issue(
        self, file_name: str, common_name: str, organisation: str = "", hosts: Iterable[str] = ()
    ) -> KeyPair:
        """Key pair for a client and server; it is made anew only when the hosts have changed."""
        files = KeyPair(self._folder / f"{file_name}.crt", self._folder / f"{file_name}.key")
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        if files.certificate.exists() and _names_of(files.certificate) == names:
            return files
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = _builder(
            _name(common_name, organisation), self._certificate.subject, key.public_key()
        )
        certificate = (
            builder.add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _write(files, certificate, key)
        return files

    def signing_key(self, file_name: str) -> Path:
        """Private key alone, for signing service account tokens."""
        file = self._folder / f"{file_name}.key"
        if not file.exists():
            _write_private(file, ec.generate_private_key(ec.SECP256R1()))
        return file


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str, organisation: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names_of(certificate: Path) -> x509.SubjectAlternativeName:
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    return parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _write(files: KeyPair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    # The certificate comes last: where it exists, the pair is whole.
    _write_private(files.key, key)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _read_private(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{file} was not written here: it holds another kind of key")
    return key


def _write_private(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
