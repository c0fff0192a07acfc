"""Who asks: the key of a request, and the tenant and role that it stands for."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import Scope

from feature_repo.contracts.settings import Settings
from serving.access.errors import KeysMissing, OtherHost, Unauthorized
from serving.access.keys import Holder, Keys
from serving.access.loopback import is_loopback, keys_required
from serving.access.roles import Role
from serving.access.tenant_file import DEFAULT, tenant_settings
from serving.access.tenants import Tenant
from serving.errors import AdminDisabled

ADMIN_KEY = "admin"
"""The id of FOUND_ADMIN_KEY in the record."""
NOBODY = "none"


@dataclass(frozen=True)
class Caller:
    """`known`: came with a key, whose requests are counted."""

    tenant: Tenant
    key_id: str
    role: Role
    known: bool = True


class Callers:
    """Knows the keys of all tenants. Where no key is asked for, everybody is an analyst of the only tenant."""

    def __init__(self, settings: Settings) -> None:
        self._keys = {name: Keys(own.work.keys) for name, own in tenant_settings(settings).items()}
        self._admin_key = settings.admin_key
        self._host = settings.host.lower()
        self.required = keys_required(settings)
        self.tenants: Mapping[str, Tenant] = {}

    def refuse_unguarded(self) -> None:
        """Raises KeysMissing where keys are required and there is none: nobody could ask, or everybody."""
        if self.required and not self._usable():
            raise KeysMissing("this server needs keys: it can be reached from elsewhere, or require_keys says so.")

    def of(self, scope: Scope, *, needs: Role | None) -> Caller:
        """Who asks for what needs a role, or nothing (None). Raises Unauthorized."""
        text = _bearer(scope)
        if text is not None:
            if found := self._with(text):
                return found
            if needs is not None:
                raise Unauthorized("the key is not valid.", invalid=True)
        if needs is None or (not self.required and needs < Role.ADMIN):
            if needs is not None:
                self._refuse_other_name(scope)
            return Caller(next(iter(self.tenants.values())), NOBODY, Role.ANALYST, known=False)
        if not self._usable():
            raise AdminDisabled("this server was started without an admin key.")
        raise Unauthorized("the request carries no key.")

    def _refuse_other_name(self, scope: Scope) -> None:
        """A page of anybody's, open in a browser of this machine, could ask by a name of its own that it lets point
        here (DNS rebinding); by the name that it asks for it is told."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = host
        if not is_loopback(name) and name != self._host:
            raise OtherHost(f"this server answers without keys, and to its own name alone; it was asked as {name!r}.")

    def suspected(self, scope: Scope) -> Caller | None:
        """Whose record a refused request belongs into: that of the tenant whose key id it names, or of the only one."""
        named = (_bearer(scope) or "").split("_")[1:2]
        for name, keys in self._keys.items():
            if len(self._keys) == 1 or any([key.id] == named for key in keys.all()):
                return Caller(self.tenants[name], NOBODY, Role.VIEWER)
        return None

    def _with(self, text: str) -> Caller | None:
        if self._admin_key and secrets.compare_digest(text.encode(), self._admin_key.encode()):
            return Caller(self.tenants[DEFAULT], ADMIN_KEY, Role.ADMIN)
        found = [(name, holder) for name, keys in self._keys.items() if (holder := keys.holder(text))]
        return _caller(self.tenants[found[0][0]], found[0][1]) if found else None

    def _usable(self) -> bool:
        return bool(self._admin_key) or any(keys.usable() for keys in self._keys.values())


def _caller(tenant: Tenant, holder: Holder) -> Caller:
    return Caller(tenant, holder.key_id, holder.role)


def _bearer(scope: Scope) -> str | None:
    """What Authorization says; an empty text where it is no bearer's."""
    told = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    if told is None:
        return None
    kind, _, text = told.decode("latin-1").partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""
