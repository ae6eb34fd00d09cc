"""A private certificate authority and the broker's certificate, made of values.

Rule 1: the authority can vouch for this house only. Whoever steals its key cannot play bank to a phone that trusts it.
Rule 2: what phones demand holds: SAN, serverAuth, at most 825 days, P-256 with SHA-256.
"""

from __future__ import annotations

import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device.errors import ConfigError

SERVER_DAYS = 820  # Apple refuses more than 825: https://support.apple.com/en-us/103769
AUTHORITY_DAYS = 7300  # every phone must be paired again when it ends
_SKEW = dt.timedelta(hours=1)  # a Pi has no clock of its own and may lag behind
# Names and addresses that mean nobody outside a house (RFC 6762, 8375, 1918, 4193; .internal: ICANN 2024).
_AT_HOME = ("localhost", "local", "lan", "home.arpa", "internal")
_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "100.64.0.0/10",
             "fc00::/7", "fe80::/10", "::1/128")


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key on P-256, which every phone takes."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as its file holds it."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def read_key(pem: bytes, name: str) -> ec.EllipticCurvePrivateKey:
    """Read a key of ours."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{name} holds no key of ours", "restore it; without it phones must be paired again")
    return key


def read_certificate(pem: bytes, name: str) -> x509.Certificate:
    """Read a certificate of ours."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ConfigError(f"{name} holds no certificate", f"remove {name} and set up again") from None


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as its file holds it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def authority(key: ec.EllipticCurvePrivateKey, hosts: tuple[str, ...], now: dt.datetime) -> x509.Certificate:
    """Return the authority of this house: for its hosts, and for names and addresses that mean a house."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Doorstep ({hosts[0]})"[:64])])
    names = [host for host in hosts if not _address(host)]
    singles = [f"{host}/{ipaddress.ip_address(host).max_prefixlen}" for host in hosts if _address(host)]
    permitted: list[x509.GeneralName] = [x509.DNSName(each) for each in dict.fromkeys([*_AT_HOME, *names])]
    permitted += [x509.IPAddress(ipaddress.ip_network(each)) for each in dict.fromkeys([*_NETWORKS, *singles])]
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)  # to sign certificates
    return _signed(_built(name, name, key.public_key(), now, AUTHORITY_DAYS)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                   .add_extension(usage, critical=True)
                   .add_extension(x509.NameConstraints(permitted, None), critical=True), key, key.public_key())


def server(hosts: tuple[str, ...], key: ec.EllipticCurvePrivateKey, ca: x509.Certificate,
           ca_key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    """Return the broker's certificate for `hosts`, in `ca`'s name. Raise ConfigError where `ca` may not vouch."""
    foreign = [host for host in hosts if not _may_vouch(ca, host)]
    if foreign:
        raise ConfigError(f"this broker's authority was not made for {foreign[0]}",
                          "remove ca.key and ca.crt, set up again with all hosts, and pair every phone again")
    names = [x509.IPAddress(ipaddress.ip_address(host)) if _address(host) else x509.DNSName(host) for host in hosts]
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)  # to sign a handshake
    # No host: OpenSSL takes a common name for a DNS name, and an address is none that the authority may vouch for.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Doorstep broker")])
    return _signed(_built(subject, ca.subject, key.public_key(), now, SERVER_DAYS)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(usage, critical=True)
                   .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                   .add_extension(x509.SubjectAlternativeName(names), critical=False), ca_key, ca_key.public_key())


def hosts_of(certificate: x509.Certificate) -> set[str]:
    """Return the names and addresses that a certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def _may_vouch(ca: x509.Certificate, host: str) -> bool:
    permitted = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    if _address(host):
        address = ipaddress.ip_address(host)
        networks = [each.value for each in permitted if isinstance(each, x509.IPAddress)]
        return any(isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network) and address in network
                   for network in networks)
    return any(isinstance(each, x509.DNSName) and (host == each.value or host.endswith("." + each.value))
               for each in permitted)


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _built(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime,
           days: int) -> x509.CertificateBuilder:
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW).not_valid_after(now - _SKEW + dt.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False))


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey,
            issuer: ec.EllipticCurvePublicKey) -> x509.Certificate:
    return builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer),
                                 critical=False).sign(key, hashes.SHA256())
