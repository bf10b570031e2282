"""A server behind encryption and a proxy that wants a token."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from double import made_up, serve_grpc, serve_rest

from serving.client import Client
from serving.gateway import Gateway, gateway
from serving.rest import Rest
from serving.transport import ServingError


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """A key and its certificate, which is its own authority, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(key.private_bytes(pem, *private) + certificate.public_bytes(pem))
    return file


@pytest.fixture(params=["rest", "grpc"])
def connect(request, double, pem):
    """Function: gateway → a client of the double, which speaks TLS."""
    if request.param == "rest":
        server = serve_rest(double, pem=pem)
        url = f"https://127.0.0.1:{server.server_address[1]}"
        yield lambda before: Client(Rest(url, gateway=before), timeout=10)
        server.shutdown()
        server.server_close()
    else:
        from serving.rpc import Grpc  # imports TensorFlow

        _, port = serve_grpc(double, pem=pem)
        yield lambda before: Client(Grpc(f"127.0.0.1:{port}", gateway=before), timeout=10)


def test_a_trusted_server_is_asked(connect, pem, photos):
    with connect(Gateway(ca_file=pem)) as client:
        assert client.classify(photos)[0].classes[0] == made_up(5)(photos)["classes"][0][0].decode()


def test_a_server_that_is_not_trusted_gets_nothing(double, pem, photos):
    server = serve_rest(double, pem=pem)
    url = f"https://127.0.0.1:{server.server_address[1]}"
    with Client(Rest(url), timeout=10) as client, pytest.raises(ServingError, match=r"--ca-file"):
        client.classify(photos)
    server.shutdown()
    server.server_close()
    assert double.batch_sizes == []


@pytest.mark.parametrize(
    ("flags", "let_in"),
    [
        ({"headers": ["Authorization: Bearer s3cret"]}, True),
        ({"token": "s3cret\n"}, True),
        ({"token": "other"}, False),
        ({}, False),
    ],
)
def test_who_has_the_token_is_let_in(connect, double, pem, photos, tmp_path, flags, let_in):
    double.authorization = "Bearer s3cret"
    token_file = None
    if "token" in flags:
        token_file = tmp_path / "token"
        token_file.write_text(flags["token"])
    with connect(gateway(flags.get("headers", ()), token_file, pem)) as client:
        if let_in:
            assert len(client.classify(photos)) == len(photos)
        else:
            with pytest.raises(ServingError, match=r"lets nobody in .*who is there\?"):
                client.classify(photos)


@pytest.mark.parametrize("header", ["no colon", "two words: x", "Name: line\nbreak", ": x"])
def test_what_is_no_header_is_refused(header):
    with pytest.raises(ValueError, match=r'--header must be "Name: value"'):
        gateway([header], None, None)


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe"])
def test_what_is_no_token_or_no_certificate_is_refused(tmp_path, content):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"--token-file .*file: (cannot be read|holds no token)"):
        gateway([], file, None)
    with pytest.raises(ValueError, match=r"--ca-file .*file: (cannot be read|holds no cert)"):
        gateway([], None, file)
