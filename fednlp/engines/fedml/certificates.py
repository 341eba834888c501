"""TLS of GRPC: both sides show a certificate of one authority.

The folder holds `ca.pem` (the authority's certificate), `cert.pem` and `key.pem` (this process's
own). The server's certificate names the host of `engine.server`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from fednlp.errors import UserError


def server_credentials(folder: str) -> Any:
    """Raises UserError: a file cannot be read."""
    authority, certificate, key = _files(folder)
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=authority, require_client_auth=True
    )


def silo_credentials(folder: str) -> Any:
    """Raises UserError: a file cannot be read."""
    authority, certificate, key = _files(folder)
    return grpc.ssl_channel_credentials(authority, key, certificate)


def _files(folder: str) -> tuple[bytes, bytes, bytes]:
    found = []
    for name in ("ca.pem", "cert.pem", "key.pem"):
        path = Path(folder) / name
        try:
            found.append(path.read_bytes())
        except OSError as error:
            told = f"cannot be read ({error.strerror or error})"
            raise UserError(f"engine.tls: {path}", told, fix="see docs/fedml.md") from None
    return found[0], found[1], found[2]
