"""Tenants as they are served: a desk, the audiences and the record of each, in one process."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from filelock import FileLock, Timeout

from feature_repo.contracts.settings import Settings
from serving.access.audit import AuditLog
from serving.access.errors import ServedAlready
from serving.access.loopback import keys_required
from serving.access.tenant_file import tenant_settings
from serving.audiences.service import Audiences, open_audiences
from serving.desk import Desk
from serving.errors import ServingError

_PATIENCE_SECONDS = 3.0
"""The server before may still be ending."""


@dataclass(frozen=True)
class Tenant:
    """What answers one tenant's requests, by the one server of its work directory."""

    name: str
    settings: Settings
    desk: Desk
    audiences: Audiences
    audit: AuditLog
    lock: FileLock

    def close(self) -> None:
        self.audiences.close()
        self.desk.close()
        self.audit.close()
        self.lock.release()


def open_tenants(settings: Settings, open_desk: Callable[[Settings], Desk]) -> dict[str, Tenant]:
    """Every tenant, opened; none stays open where one cannot be. Raises ServedAlready where another server runs."""
    opened: dict[str, Tenant] = {}
    alone = not keys_required(settings)
    with ExitStack() as undo:
        for name, own in tenant_settings(settings).items():
            lock = _locked(own)
            undo.callback(lock.release)
            desk = open_desk(own)
            undo.callback(desk.close)
            audiences = open_audiences(own, desk, alone=alone)
            opened[name] = Tenant(name, own, desk, audiences, AuditLog(own.work.audit), lock)
            undo.callback(opened[name].audit.close)
        undo.pop_all()
    return opened


def _locked(settings: Settings) -> FileLock:
    """Two servers would send the same exports twice."""
    root = settings.work.root
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ".server.lock", timeout=_PATIENCE_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise ServedAlready(f"another server runs on {root}.") from error
    return lock


def one_ready(tenants: Iterable[Tenant]) -> None:
    """Returns where any tenant can be answered; one that is new must not turn the others away."""
    errors: list[ServingError] = []
    for tenant in tenants:
        try:
            tenant.desk.ready()
        except ServingError as error:
            errors.append(error)
        else:
            return
    raise type(errors[0])("no tenant of this server can be answered.")
