"""`GET /metrics`, as Prometheus reads it."""

from fastapi import APIRouter, Request, Response

from serve.metrics import CONTENT_TYPE, Metrics

router = APIRouter()


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """What the service counts: requests, seconds by stage, who waits, batches, caches, tokens."""
    found: Metrics = request.app.state.metrics
    return Response(found.shown(), headers={"Content-Type": CONTENT_TYPE})
