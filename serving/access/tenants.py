"""Tenants as they are served: a desk, the audiences and the record of each, in one process."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from feature_repo.contracts.settings import Settings
from serving.access.audit import AuditLog
from serving.access.loopback import keys_required
from serving.access.tenant_file import tenant_settings
from serving.audiences.service import Audiences, open_audiences
from serving.desk import Desk
from serving.errors import ServingError


@dataclass(frozen=True)
class Tenant:
    """What answers one tenant's requests."""

    name: str
    settings: Settings
    desk: Desk
    audiences: Audiences
    audit: AuditLog

    def close(self) -> None:
        self.audiences.close()
        self.desk.close()
        self.audit.close()


def open_tenants(settings: Settings, open_desk: Callable[[Settings], Desk]) -> dict[str, Tenant]:
    """Every tenant, opened; none stays open where one cannot be."""
    opened: dict[str, Tenant] = {}
    alone = not keys_required(settings)
    with ExitStack() as undo:
        for name, own in tenant_settings(settings).items():
            desk = open_desk(own)
            undo.callback(desk.close)
            audiences = open_audiences(own, desk, alone=alone)
            opened[name] = Tenant(name, own, desk, audiences, AuditLog(own.work.audit))
            undo.callback(opened[name].audit.close)
        undo.pop_all()
    return opened


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
