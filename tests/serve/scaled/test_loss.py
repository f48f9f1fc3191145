"""Replicas are killed, and the store changes, while clients ask: what they get."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event

import httpx
import pytest

from tests.conftest import add_to, compact, delete
from tests.corpus import write_lines
from tests.lm.models import tiny_model
from tests.serve.scaled.services import KEY, PATIENCE, kill, post, replicas, scaled, wait_until

pytestmark = pytest.mark.long
CLIENTS = 6
CHAT = {"model": "ralm", "max_tokens": 8, "messages": [{"role": "user", "content": "Who makes blue glass?"}]}


@pytest.fixture(scope="module")
def changing(tmp_path_factory, store):
    """A store of its own, which changes."""
    import shutil

    return shutil.copytree(store, tmp_path_factory.mktemp("changing") / "towns")


@pytest.fixture(scope="module")
def url(ray_cluster, changing, tmp_path_factory):
    tiny = tiny_model(tmp_path_factory.mktemp("scaled") / "tiny", context=4096)
    with scaled(tiny, changing, replicas=2, groups=2) as found:
        yield found


@contextmanager
def load(url):
    """Clients that ask one thing after another: searches no two of which are the same, and chats."""
    over, replies, numbers = Event(), [], count()

    def ask(client):
        while not over.is_set():
            number = next(numbers)
            path = "/v1/chat/completions" if client == 0 else "/search"
            body = CHAT if client == 0 else {"query": f"blue glass of the year {number}", "k": 3}
            found = post(url, path, body)
            replies.append((path, found.status_code, found.text))

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask, client) for client in range(CLIENTS)]
        try:
            yield replies
        finally:
            over.set()
            for one in asking:
                one.result()


def more(replies, number=20):
    """Wait until so many more replies have come."""
    wanted = len(replies) + number
    wait_until(lambda: len(replies) >= wanted)


@pytest.mark.parametrize("name", ["searcher-0", "searcher-1", "encoder", "reader"])
def test_a_replica_that_is_killed_costs_no_request(url, name):
    """Not even those in flight: they are tried once more, with the other replica."""
    with load(url) as replies:
        more(replies)
        kill(name)
        more(replies, 60)
        wait_until(lambda: len(replicas(name)) == 2)
        more(replies)
    assert [one for one in replies if one[1] != 200] == []
    assert {path for path, *_ in replies} == {"/search", "/v1/chat/completions"}


def test_a_front_that_is_killed_costs_what_it_was_answering_and_no_more(url):
    with load(url) as replies:
        more(replies)
        kill("front")
        assert httpx.get(f"{url}/ready", timeout=PATIENCE).status_code == 200
        before = len(replies)
        more(replies)
        later = replies[before + CLIENTS :]
    assert [one for one in later if one[1] != 200] == []
    assert len([one for one in replies if one[1] != 200]) <= CLIENTS


def test_a_new_generation_is_taken_up_without_a_dropped_request(url, changing, tmp_path):
    """Of an addition, a takedown and a compaction: all that is asked meanwhile is answered."""

    def generation():
        return httpx.get(f"{url}/health").json()["store"]["generation"]

    before = generation()
    with load(url) as replies:
        new = [{"id": "new-1", "text": "The lighthouse of Skerrow was built of red brick in 1911."}]
        add_to(changing, write_lines(tmp_path / "new.jsonl", new))
        wait_until(lambda: generation() == before + 1)
        hits = post(url, "/search", {"query": "lighthouse of Skerrow", "k": 1}).json()["results"][0]["hits"]
        assert hits[0]["doc_id"] == "new-1"
        delete(changing, "new-1")
        wait_until(lambda: generation() == before + 2)
        hits = post(url, "/search", {"query": "lighthouse of Skerrow", "k": 5}).json()["results"][0]["hits"]
        assert "new-1" not in {hit["doc_id"] for hit in hits}
        compact(changing)
        wait_until(lambda: generation() == before + 3)
        more(replies)
    assert [one for one in replies if one[1] != 200] == []
    assert httpx.get(f"{url}/health", headers=KEY).json()["behind"] is None
