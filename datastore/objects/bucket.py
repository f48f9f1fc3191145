"""An S3 bucket below one prefix: whole objects in and out, and the conditional write that publishes a store.

boto3 and not pyarrow, which knows no conditional put; not a signed request of our own, since profiles, roles,
retries and uploads in parts would have to be written again.

Decisions: docs/decisions/object-storage.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from base.errors import RalmError
from datastore.files.writing import atomic_write
from datastore.objects.address import Address

# Puts that meet another one in flight are refused and tried again this often.
_CONFLICTS = 5
# Parts of one large object that travel at once; several objects do, too.
_PARTS = 4
_CONNECTIONS = 32


@lru_cache
def _client(options: str) -> Any:
    """A client for the server that an address names, made once in a process; threads may share it."""
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError:
        raise RalmError("A store on s3:// needs boto3: install it with `pip install boto3`.") from None
    found = Address("s3", "", "", options).settings
    if unknown := set(found) - {"endpoint_override", "scheme", "region"}:
        raise RalmError(
            f"The address of a store knows no option {sorted(unknown)[0]}: use endpoint_override, scheme "
            "and region."
        )
    endpoint = found.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{found.get('scheme', 'https')}://{endpoint}"
    # How often is AWS_MAX_ATTEMPTS' to say.
    config = Config(retries={"mode": "standard"}, max_pool_connections=_CONNECTIONS)
    return boto3.client("s3", endpoint_url=endpoint, region_name=found.get("region"), config=config)


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of a listing: its size in bytes, and when it was last put."""

    bytes: int
    modified: datetime


@dataclass(frozen=True)
class Bucket:
    """What an address names of a bucket: all objects below it, by their keys from there on."""

    address: Address

    def read(self, key: str) -> tuple[bytes, str] | None:
        """A small object and its ETag, or None if there is none."""
        with self._explained(key, "read"):
            try:
                found = self._s3.get_object(**self._at(key))
                return found["Body"].read(), found["ETag"]
            except self._s3.exceptions.NoSuchKey:
                return None

    def download(self, key: str, path: Path) -> None:
        """An object to a file, which appears whole or not at all."""
        with self._explained(key, "read"):
            atomic_write(path, lambda handle: self._s3.download_fileobj(**self._large(key), Fileobj=handle))

    def upload(self, key: str, path: Path) -> None:
        """A file to an object, which appears whole or not at all."""
        with self._explained(key, "written"), open(path, "rb") as handle:
            self._s3.upload_fileobj(**self._large(key), Fileobj=handle)

    def write(self, key: str, data: bytes) -> None:
        """Put a small object, in the place of what is there."""
        with self._explained(key, "written"):
            self._s3.put_object(**self._at(key), Body=data)

    def replace(self, key: str, data: bytes, etag: str | None) -> bool:
        """Put a small object where the one with this ETag is, or none; False if another came first."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with self._explained(key, "written"):
            for _ in range(_CONFLICTS):
                try:
                    self._s3.put_object(**self._at(key), Body=data, **condition)
                    return True
                except self._s3.exceptions.ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    if status not in (404, 409, 412):
                        raise
                    if status != 409:
                        break
        # A put that was answered too late is tried again by the client, and then refused: it was ours.
        there = self.read(key)
        return there is not None and there[0] == data

    def listed(self, limit: int | None = None) -> dict[str, Listed]:
        """All objects by key, or the first `limit` of them."""
        prefix = f"{self.address.key}/" if self.address.key else ""
        with self._explained("", "listed"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.address.bucket, Prefix=prefix
            )
            found = (one for page in pages for one in page.get("Contents", ()))
            return {
                one["Key"][len(prefix) :]: Listed(one["Size"], one["LastModified"])
                for one in islice(found, limit)
            }

    def delete(self, keys: Sequence[str]) -> None:
        """Delete at most 1,000 objects; those that are not there count as deleted."""
        named = [{"Key": self._at(key)["Key"]} for key in keys]
        with self._explained("", "swept"):
            answer = self._s3.delete_objects(
                Bucket=self.address.bucket, Delete={"Objects": named, "Quiet": True}
            )
        for error in answer.get("Errors", ()):
            raise RalmError(
                f"{error['Key']} of {self.address} cannot be deleted ({error.get('Message', '')}): check "
                "what the credentials allow."
            )

    @property
    def _s3(self) -> Any:
        return _client(self.address.options)

    def _at(self, key: str) -> dict[str, str]:
        whole = f"{self.address.key}/{key}" if self.address.key else key
        return {"Bucket": self.address.bucket, "Key": whole}

    def _large(self, key: str) -> dict[str, Any]:
        from boto3.s3.transfer import TransferConfig

        return {**self._at(key), "Config": TransferConfig(max_concurrency=_PARTS)}

    @contextmanager
    def _explained(self, key: str, what: str) -> Iterator[None]:
        _client(self.address.options)  # Says so if there is no boto3.
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from s3transfer.exceptions import RetriesExceededError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError, RetriesExceededError) as error:
            name = f"{key} of {self.address}" if key else self.address
            # Of a transfer the last of its attempts says more.
            reason = " ".join(str(getattr(error, "last_exception", error)).split())[:300]
            raise RalmError(
                f"{name} cannot be {what} ({reason}): check the bucket, the credentials (AWS_*) and the "
                "network, then run the same command again."
            ) from None
