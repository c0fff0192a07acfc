"""`found keys`: make, list and revoke the keys of the API."""

from feature_repo.contracts.settings import Settings
from serving.access.audit import AuditLog
from serving.access.errors import InvalidAccess
from serving.access.keys import Key, Keys
from serving.access.tenant_file import tenant_settings
from serving.progress import table


def created(settings: Settings, *, tenant: str, name: str, role: str) -> str:
    """The key, which is shown this once."""
    own = _settings_of(settings, tenant)
    made, text = Keys(own.work.keys).create(name=name or role, role=role)
    _record(own, "found keys create", made)
    return f"{text}\n(key {made.id}, role {made.role}: keep it now, it is not shown again)"


def listed(settings: Settings, *, tenant: str) -> str:
    keys = Keys(_settings_of(settings, tenant).work.keys)
    rows = [(key.id, key.name, key.role, key.created_at, key.revoked_at) for key in keys.all()]
    return table(("id", "name", "role", "created", "revoked"), rows)


def revoked(settings: Settings, key_id: str, *, tenant: str) -> str:
    if not key_id:
        raise InvalidAccess("`found keys revoke` needs the id of a key, found none.")
    own = _settings_of(settings, tenant)
    gone = Keys(own.work.keys).revoke(key_id)
    _record(own, "found keys revoke", gone)
    return f"the key {gone.id} ({gone.name}) is revoked"


def _settings_of(settings: Settings, tenant: str) -> Settings:
    """Those of a tenant; of the only one where none is named."""
    found = tenant_settings(settings)
    if not tenant and len(found) > 1:
        raise InvalidAccess(f"name the tenant with --tenant: {', '.join(found)}.")
    if tenant and tenant not in found:
        raise InvalidAccess(f"there is no tenant {tenant!r}; there are {', '.join(found)}.")
    return found[tenant or next(iter(found))]


def _record(own: Settings, command: str, key: Key) -> None:
    log = AuditLog(own.work.audit)
    log.write(command=command, subject=key.id, subject_role=key.role)
    log.close()
