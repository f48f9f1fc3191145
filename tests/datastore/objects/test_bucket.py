import builtins
import os

import pytest

from base.errors import RalmError
from datastore.objects import bucket as module
from datastore.objects.address import Address
from datastore.objects.bucket import Bucket


@pytest.fixture
def there(objects):
    """An empty prefix, and the client's view of it."""
    return Bucket(Address.parse(f"s3://{objects.bucket()}/deep/prefix"))


@pytest.fixture
def far(monkeypatch, objects, proxy):
    """An empty prefix behind the proxy, of a client that does not try again for seconds."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = f"endpoint_override=127.0.0.1:{proxy.port}&scheme=http"
    return Bucket(Address.parse(f"s3://{objects.bucket()}/prefix?{options}"))


def sizes(objects):
    return {key: one.bytes for key, one in objects.listed().items()}


def test_what_is_put_comes_back(there, tmp_path):
    assert there.read("a/b") is None
    there.write("a/b", b"small")
    assert there.read("a/b")[0] == b"small"
    (tmp_path / "large").write_bytes(os.urandom(9 << 20))  # In parts.
    there.upload("large", tmp_path / "large")
    there.download("large", tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == (tmp_path / "large").read_bytes()
    assert sizes(there) == {"a/b": 5, "large": 9 << 20}
    assert list(there.listed(1)) == ["a/b"]
    there.delete(["large", "gone"])
    assert sizes(there) == {"a/b": 5}


def test_a_conditional_put_has_one_winner(there):
    assert there.replace("pointer", b"one", None)
    assert not there.replace("pointer", b"two", None)
    data, etag = there.read("pointer")
    assert data == b"one"
    assert there.replace("pointer", b"two", etag)
    assert not there.replace("pointer", b"three", etag)
    assert there.read("pointer")[0] == b"two"
    assert not there.replace("gone", b"two", etag)


def test_a_put_whose_answer_was_lost_counts_as_done(there):
    """The client tries again by itself, and the second time the condition fails."""
    _, etag = [there.replace("pointer", b"one", None), there.read("pointer")[1]]
    assert there.replace("pointer", b"two", etag)
    assert there.replace("pointer", b"two", etag)


@pytest.mark.parametrize("size", [1 << 20, 9 << 20])
def test_a_put_that_is_cut_leaves_nothing_and_can_be_done_again(far, proxy, tmp_path, size):
    (tmp_path / "file").write_bytes(os.urandom(size))
    proxy.up = 600_000
    with pytest.raises(RalmError, match=r"key of s3://.* cannot be written .*: check the bucket"):
        far.upload("key", tmp_path / "file")
    assert proxy.cuts
    proxy.up = None
    assert sizes(far) == {}
    far.upload("key", tmp_path / "file")
    assert sizes(far) == {"key": size}


def test_a_read_that_is_cut_leaves_nothing_and_can_be_done_again(far, proxy, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    far.upload("key", tmp_path / "file")
    proxy.down = 600_000
    for read in (lambda: far.download("key", tmp_path / "copy"), lambda: far.read("key")):
        with pytest.raises(RalmError, match=r"key of s3://.* cannot be read .*: check the bucket"):
            read()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    proxy.down = None
    far.download("key", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_bucket_or_server_that_is_not_there_is_a_sentence(objects, far, proxy):
    with pytest.raises(RalmError, match=r"no-such-bucket/x cannot be listed .*NoSuchBucket"):
        Bucket(Address.parse("s3://no-such-bucket/x")).listed()
    proxy.close()
    with pytest.raises(RalmError, match=r"check the bucket, the credentials .* and the network"):
        far.read("key")


def test_an_unknown_option_and_a_missing_boto3_are_sentences(objects, monkeypatch):
    with pytest.raises(RalmError, match="no option colour: use endpoint_override, scheme and region"):
        Bucket(Address.parse("s3://bucket/x?colour=red")).listed()

    def without(name, *arguments, **named):
        if name.startswith("boto3"):
            raise ModuleNotFoundError(name)
        return imported(name, *arguments, **named)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    module._client.cache_clear()
    with pytest.raises(RalmError, match=r"needs boto3: install it with `pip install boto3`"):
        Bucket(Address.parse("s3://bucket/x")).read("key")
