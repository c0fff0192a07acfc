"""The route that Prometheus asks."""

from fastapi import APIRouter, Request, Response

from serving.access.guard import tenant_of
from serving.telemetry.state import CONTENT_TYPE, ServerState, exposed

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """The metrics of the process, and of the index and audiences of the tenant whose key asks. Prometheus' format is no
    JSON: not part of the description."""
    tenant = tenant_of(request)
    state = ServerState(lambda: tenant.desk.ready().publication, tenant.audiences.store.counts)
    return Response(exposed(state), headers={"Content-Type": CONTENT_TYPE})
