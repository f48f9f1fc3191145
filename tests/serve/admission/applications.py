"""Small applications that admission stands before."""

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient


def echoing() -> FastAPI:
    """It says what it was sent, at any path."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def echo(path: str, request: Request) -> dict[str, str]:
        return {"path": path, "body": (await request.body()).decode()}

    return app


def client_of(app: FastAPI) -> TestClient:
    """A client to whom a failing server answers with 500."""
    return TestClient(app, raise_server_exceptions=False)
