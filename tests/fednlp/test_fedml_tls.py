"""TLS of GRPC: who has no certificate of the authority neither hears nor is heard."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fednlp.engines.fedml import library

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

from fedml_sockets import Seen, connected, connection, hello

from fednlp.engines.fedml.certificates import server_credentials, silo_credentials
from fednlp.errors import UserError


def certificates(folder: Path, names: dict[str, str]) -> None:
    """`openssl` makes an authority, and for each of `names` a folder with a certificate of it."""

    def openssl(*arguments: object) -> None:
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    folder.mkdir()
    key, authority = folder / "key.pem", folder / "ca.pem"
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", key, "-out", authority, "-subj", f"/CN={folder.name}")
    for name, host in names.items():
        own = folder / name
        own.mkdir()
        (own / "ca.pem").write_bytes(authority.read_bytes())
        (own / "host").write_text(f"subjectAltName=DNS:{host}")
        asked = ("-keyout", own / "key.pem", "-out", own / "asked", "-subj", f"/CN={name}")
        openssl("req", *new, *asked)
        signed = ("-CA", authority, "-CAkey", key, "-CAcreateserial", "-extfile", own / "host")
        openssl("x509", "-req", "-in", own / "asked", *signed, "-out", own / "cert.pem")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls") / "ours"
    try:
        certificates(folder, {"server": "localhost", "silo": "silo"})
    except FileNotFoundError:
        pytest.skip("there is no openssl to make certificates with")
    certificates(folder.parent / "other", {"silo": "silo", "server": "localhost"})
    return folder


def test_with_certificates_of_one_authority_a_silo_is_heard(authority):
    mine = str(authority / "server"), str(authority / "silo")
    tls = {"server_tls": server_credentials(mine[0]), "silo_tls": silo_credentials(mine[1])}
    with connection(**tls) as (server, silo):
        connected(silo)
        hello(silo)
        assert Seen(server).until("hello").name == "a silo"


@pytest.mark.parametrize("who", ["nobody", "another authority's silo", "another server"])
def test_without_a_certificate_of_the_authority_nobody_is_connected(who, authority):
    other = authority.parent / "other"
    server = str((other if who == "another server" else authority) / "server")
    silo = str((other if who == "another authority's silo" else authority) / "silo")
    tls = None if who == "nobody" else silo_credentials(silo)
    with connection(server_tls=server_credentials(server), silo_tls=tls, patience=1.0) as (a, b):
        seen = Seen(b)
        assert seen.until("lost").why == "unavailable"
        assert not a.peers() and not a.handle_one(0.01)


def test_a_certificate_that_is_missing_is_told(tmp_path):
    with pytest.raises(UserError, match=r"engine.tls: .*ca.pem: cannot be read \(No such file"):
        server_credentials(str(tmp_path))
