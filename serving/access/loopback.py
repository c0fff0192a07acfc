"""Whether a server is alone with its own machine, so that it may do without keys."""

import ipaddress

from feature_repo.contracts.settings import Settings
from serving.access.errors import InvalidAccess

AUTO, ALWAYS = "auto", "always"


def keys_required(settings: Settings) -> bool:
    """Off only where nobody else can reach the server, or where the key need not tell whose lake is asked."""
    if settings.require_keys not in (AUTO, ALWAYS):
        raise InvalidAccess(f"require_keys is {AUTO} or {ALWAYS}, found {settings.require_keys!r}.")
    return bool(settings.tenants) or settings.require_keys == ALWAYS or not is_loopback(settings.host)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
