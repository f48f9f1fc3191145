import pytest

from serve.admission.access import Access
from serve.admission.keys import Key, Keys, sha256_of
from tests.serve.admission.applications import client_of, echoing


def asked(keys=(), per_minute=None):
    app = echoing()
    app.add_middleware(Access, keys=Keys(keys), per_minute=per_minute)
    return client_of(app)


@pytest.mark.parametrize("path", ["/search", "/v1/models", "/docs", "/metrics", "/health/x", "/nowhere"])
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "asks for a key: send the header Authorization: Bearer KEY"),
        ("Basic eDp5", "asks for a key"),
        ("Bearer", "asks for a key"),
        ("Bearer wrong", "does not know that key"),
        ("Bearer \xff", "does not know that key"),
    ],
)
def test_without_the_key_nothing_is_answered(path, header, reason):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    reply = asked([Key.of("secret", "ann")]).get(path, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reason in reply.json()["error"]["message"]
    assert reply.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/page/app.js"])
def test_some_paths_are_open(path):
    assert asked([Key.of("secret", "ann")], per_minute=1).get(path).status_code == 200


@pytest.mark.parametrize("header", ["Bearer secret", "bearer  secret"])
def test_with_the_key_all_is_answered(header):
    client = asked([Key.of("other", "ben"), Key.of("secret", "ann")])
    assert client.get("/search", headers={"Authorization": header}).status_code == 200


def test_each_key_has_its_own_rate():
    client = asked([Key("ann", sha256_of("a"), 2), Key.of("b", "ben")], per_minute=3)
    for key, rate in (("a", 2), ("b", 3)):
        headers = {"Authorization": f"Bearer {key}"}
        statuses = [client.get("/search", headers=headers).status_code for _ in range(rate + 1)]
        assert statuses == [200] * rate + [429]
        refused = client.get("/search", headers=headers)
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert "Too many requests" in refused.json()["error"]["message"]


def test_without_keys_each_address_has_a_rate():
    client = asked(per_minute=1)
    assert [client.get("/search").status_code for _ in range(2)] == [200, 429]
