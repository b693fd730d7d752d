"""Authorities and certificates made for a test, as PEM files."""
import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Certificate:
    """`names`: DNS names and addresses. `days`: from and to, from now. Without `by`: an authority."""

    def __init__(self, folder, file, names=(), by=None, days=(-1, 1), subject=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or file)])
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(self.name).issuer_name(by.name if by else self.name)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
                   .add_extension(x509.BasicConstraints(by is None, None), True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
        self.certificate = builder.sign((by or self).key, hashes.SHA256())
        self.chain_file, self.key_file = os.path.join(folder, file + ".pem"), os.path.join(folder, file + ".key")
        self.write(self.chain_file, self.key_file)

    def write(self, chain_file, key_file):
        """Also over another one's files, as a renewal does."""
        with open(chain_file, "wb") as file:
            file.write(self.certificate.public_bytes(serialization.Encoding.PEM))
        with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()))

    def client(self, shows=None):
        """A context that believes this authority."""
        context = ssl.create_default_context(cafile=self.chain_file)
        if shows:
            context.load_cert_chain(shows.chain_file, shows.key_file)
        return context
