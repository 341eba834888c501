"""Whether the hub can be asked, and asking it without its client's chatter."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies


def surely_offline() -> bool:
    """True where the hub's name does not resolve: the client would retry for half a minute."""
    import huggingface_hub.constants as hub_constants

    if getproxies() or hub_constants.HF_HUB_OFFLINE:  # a proxy resolves names; offline uses caches
        return False
    try:
        socket.getaddrinfo(urlsplit(hub_constants.ENDPOINT).hostname, None)
    except OSError:
        return True
    return False


@contextmanager
def quiet_download() -> Iterator[None]:
    """Silences progress bars and retries; what goes wrong is said once, in our own words."""
    import huggingface_hub.utils.logging as hub_logging
    from datasets import logging
    from datasets.utils import disable_progress_bars, enable_progress_bars

    before, hub_before = logging.get_verbosity(), hub_logging.get_verbosity()
    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        hub_logging.set_verbosity(hub_before)
        enable_progress_bars()
