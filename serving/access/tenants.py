"""Tenants as they are served: a desk, the audiences and the record of each, in one process."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from feature_repo.contracts.settings import Settings
from serving.access.audit import AuditLog
from serving.access.tenant_file import tenant_settings
from serving.audiences.service import Audiences, open_audiences
from serving.desk import Desk


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
    with ExitStack() as undo:
        for name, own in tenant_settings(settings).items():
            desk = open_desk(own)
            undo.callback(desk.close)
            opened[name] = Tenant(name, own, desk, open_audiences(own, desk), AuditLog(own.work.audit))
            undo.callback(opened[name].audit.close)
        undo.pop_all()
    return opened
