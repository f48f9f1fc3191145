"""Where something lies in object storage: `s3://bucket/prefix?endpoint_override=...`, taken apart."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from base.errors import RalmError


@dataclass(frozen=True, slots=True)
class Address:
    """An object, or all below a prefix.

    A percent sign or question mark of a key is written as in any URI: %25 and %3F. `options` say how its
    server is reached, in pyarrow's words: endpoint_override, scheme, region.
    """

    scheme: str
    authority: str
    key: str
    options: str

    @classmethod
    def parse(cls, path: str) -> "Address":
        """Take a path apart. Raises RalmError if it names no bucket, or holds a secret."""
        scheme, _, rest = path.partition("://")
        rest, _, options = rest.partition("?")
        authority, _, key = rest.partition("/")
        if ":" in authority.rpartition("@")[0]:
            # Paths are printed and written down.
            raise RalmError(
                "An address of object storage may not hold a secret: leave out what is before the @ and set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        if not authority:
            raise RalmError(f"{path} names no bucket: write {scheme}://BUCKET/PREFIX.")
        return cls(scheme, authority, unquote(key).strip("/"), options)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.authority.rpartition("@")[2]

    @property
    def parts(self) -> tuple[str, ...]:
        """Where it lies, from the server on."""
        return (f"{self.scheme}://{self.options}", self.bucket, *(p for p in self.key.split("/") if p))

    @property
    def inner(self) -> str:
        """As pyarrow's file systems call it."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    @property
    def settings(self) -> dict[str, str]:
        """The options by name."""
        return dict(parse_qsl(self.options))

    def __str__(self) -> str:
        key = self.key.replace("%", "%25").replace("?", "%3F")
        whole = f"{self.authority}/{key}" if key else self.authority
        return f"{self.scheme}://{whole}" + (f"?{self.options}" if self.options else "")
