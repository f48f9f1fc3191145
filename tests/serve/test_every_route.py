"""What holds of every route that the application has, found in the application itself."""

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.routing import Mount

from serve.admission.keys import Key
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.settings import ServiceSettings
from tests.serve.admission.applications import client_of

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
# By whoever runs it or looks at it, without a key: `ServiceSettings` has none for these.
OPEN = ("/", "/health", "/ready", "/page/{name}")
KEY = Key.of("right", "ann")


def never() -> Answerer:
    raise AssertionError("nothing is loaded here")


APP = create_app(never, settings=ServiceSettings((KEY,)))


def routes() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Each route's path, one that it matches, and its methods; of files that are mounted, one of them."""
    mounted = [one.path for one in APP.routes if isinstance(one, Mount)]
    yield from ((path, f"{path}/swagger-ui.css", frozenset({"GET", "HEAD"})) for path in mounted)
    for one in iter_route_contexts(APP.routes):
        if one.path is not None and one.path not in mounted:
            yield one.path, re.sub(r"\{\w+(:path)?\}", "x", one.path), frozenset(one.methods or ())


ROUTES = sorted(set(routes()))


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of(APP)


def asked(client: TestClient, method: str, path: str, key: str | None):
    headers = {} if key is None else {"Authorization": key}
    return client.request(method, path, headers=headers, follow_redirects=False)


def test_the_routes_are_found():
    paths = {path for path, *_ in ROUTES}
    assert {"/search", "/v1/chat/completions", "/v1/vector_stores/{store_id}/files", "/mcp"} <= paths
    assert {"/docs", "/openapi.json", "/static-offline-docs", "/v1/models/{model:path}", *OPEN} <= paths
    assert len(ROUTES) > 40
    described = set(APP.openapi()["paths"])
    assert described <= {path.replace(":path", "") for path in paths}


@pytest.mark.parametrize("path", [path for _, path, _ in ROUTES if path not in ("/", "/health", "/ready")])
def test_without_the_key_no_method_of_a_route_is_answered(client, path):
    for method in METHODS:
        for key in (None, "Bearer wrong", "Bearer right2", "Bearer ", "Basic right", "right"):
            reply = asked(client, method, path, key)
            if path.startswith("/page/"):
                assert reply.status_code != 401
                continue
            assert reply.status_code == 401, (method, key)
            assert reply.headers["www-authenticate"] == "Bearer"
            assert method == "HEAD" or reply.json()["error"]["type"] == "authentication_error"
        assert asked(client, method, path, "Bearer right").status_code != 401


@pytest.mark.parametrize("path", OPEN[:3])
def test_who_has_no_key_sees_that_the_service_is_there(client, path):
    assert asked(client, "GET", path, None).status_code in (200, 503)


@pytest.mark.parametrize(("path", "methods"), sorted({(path, methods) for _, path, methods in ROUTES}))
def test_a_method_that_a_route_does_not_take_is_refused_by_a_sentence(client, path, methods):
    for method in set(METHODS) - _taken(path) - {"HEAD"}:
        reply = asked(client, method, path, "Bearer right")
        assert reply.status_code == 405, method
        error = reply.json()["error"]
        assert (error["code"], error["type"]) == (405, "invalid_request_error")
        assert f"not {method}: /docs lists the routes." in error["message"]


def _taken(path: str) -> set[str]:
    return {method for _, other, methods in ROUTES if other == path for method in methods}


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/chat", "/search/", "/%00", "/page/", "/x" * 99])
def test_a_route_that_is_none_is_refused_by_a_sentence(client, path):
    for method in METHODS:
        reply = asked(client, method, path, "Bearer right")
        assert reply.status_code in (307, 404, 405), method
        if reply.status_code != 307 and method != "HEAD":
            assert reply.json()["error"]["code"] == reply.status_code
            assert reply.json()["error"]["message"].endswith("/docs lists the routes.")
