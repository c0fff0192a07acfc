"""The route that Prometheus asks."""

from fastapi import APIRouter, Request, Response

from serving.telemetry.state import CONTENT_TYPE, ServerState, exposed

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """The metrics of the process and of its server. Prometheus' format is no JSON: not part of the description."""
    desk, audiences = request.app.state.desk, request.app.state.audiences
    state = ServerState(lambda: desk.ready().publication, audiences.store.counts)
    return Response(exposed(state), headers={"Content-Type": CONTENT_TYPE})
