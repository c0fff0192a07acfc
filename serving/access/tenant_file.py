"""The file of tenants: which lakes one server answers for. Two tenants may share nothing that holds users.

Everything that belongs to a tenant lies in its own work directory, or in its own Milvus database and Redis.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings, typed
from serving.access.errors import InvalidAccess

DEFAULT = "default"
OWN = (
    *("lake", "workdir", "history_days", "horizon_days", "gap_days", "demand_language"),
    *("milvus_uri", "milvus_token", "milvus_database", "online_store", "redis"),
    *("default_filters", "suppressed_users", "denied_fields", "minimum_audience"),
    *("export_hosts", "export_networks", "export_secret"),
)
"""What a tenant may set; what it does not set is the server's."""
_NEVER_INHERITED = ("lake", "workdir", "suppressed_users", "export_hosts", "export_networks", "export_secret")
_PATHS = ("lake", "workdir", "suppressed_users")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def tenant_settings(settings: Settings) -> dict[str, Settings]:
    """The settings of each tenant by name; without a file of tenants there is one, whose settings these are."""
    if not settings.tenants:
        return {DEFAULT: settings}
    path = Path(settings.tenants).absolute()
    try:
        told = tomllib.loads(path.read_text())
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidAccess(f"the file of tenants {path} cannot be read: {error}.") from error
    if not told:
        raise InvalidAccess(f"the file of tenants {path} names none.")
    if settings.admin_key:
        raise InvalidAccess("FOUND_ADMIN_KEY names no tenant: leave it out, and make a key of role admin for each.")
    found = {name: _settings_of(name, table, settings, path) for name, table in told.items()}
    _refuse_shared(found)
    return found


def _settings_of(name: str, table: Any, settings: Settings, path: Path) -> Settings:
    if not _NAME.fullmatch(name):
        raise InvalidAccess(f"a tenant's name has small letters, digits, - and _, at most 64; {path} has {name!r}.")
    if not isinstance(table, Mapping):
        raise InvalidAccess(f"{path}: a tenant is a table, as in [{name}], found {name} = {table!r}.")
    if strange := sorted(set(table) - set(OWN)):
        raise InvalidAccess(f"{path}: the tenant {name} sets {', '.join(strange)}; it may set {', '.join(OWN)}.")
    if not table.get("workdir"):
        raise InvalidAccess(f"{path}: the tenant {name} has no workdir.")
    try:
        given = {key: typed(key, value) for key, value in table.items()}
    except FoundError as error:
        raise InvalidAccess(f"{path}: the tenant {name}: {error}") from error
    given |= {key: str((path.parent / given[key]).resolve()) for key in _PATHS if given.get(key)}
    return replace(settings, tenants="", **(dict.fromkeys(_NEVER_INHERITED, "") | given))


def _refuse_shared(tenants: Mapping[str, Settings]) -> None:
    for (one, own), (other, others) in combinations(tenants.items(), 2):
        for place in _shared(own, others):
            raise InvalidAccess(f"the tenants {one} and {other} share {place}: each needs its own.")


def _shared(one: Settings, other: Settings) -> Iterator[str]:
    roots = [Path(settings.workdir).resolve() for settings in (one, other)]
    if any(root == beside or root in beside.parents for root, beside in (roots, roots[::-1])):
        yield f"the work directory {roots[0]}"
    if one.milvus_uri and _milvus(one) == _milvus(other):
        yield f"the database {one.milvus_database or DEFAULT!r} of the Milvus server {one.milvus_uri} (milvus_database)"
    if one.online_store == other.online_store == "redis" and _redis(one) == _redis(other):
        yield "one database of Redis (redis = HOST:PORT,db=N)"


def _milvus(settings: Settings) -> tuple[str | None, int | None, str]:
    """Host, port and database, however they are written."""
    uri = urlsplit(settings.milvus_uri)
    ports = {"http": 19530, "https": 443}
    return uri.hostname, uri.port or ports.get(uri.scheme), settings.milvus_database or DEFAULT


def _redis(settings: Settings) -> tuple[str, str]:
    """Address and number of the database: HOST:PORT, then options between commas."""
    address, *options = (part.strip() for part in settings.redis.lower().split(","))
    numbers = [option.removeprefix("db=") for option in options if option.startswith("db=")]
    return address, (numbers or ["0"])[-1]
