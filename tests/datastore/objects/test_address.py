import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.objects.address import Address


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1))
def test_an_address_spells_any_key(key):
    address = Address("s3", "bucket", key, "scheme=http")
    assert Address.parse(str(address)) == address


def test_an_address_says_where_it_lies():
    address = Address.parse("s3://bucket/a/b%20c/?endpoint_override=minio:9000&scheme=http")
    assert address.inner == "bucket/a/b c"
    assert address.parts[1:] == ("bucket", "a", "b c")
    assert address.settings == {"endpoint_override": "minio:9000", "scheme": "http"}


def test_an_address_holds_no_secret():
    with pytest.raises(RalmError, match="may not hold a secret") as error:
        Address.parse("s3://key:hidden@bucket/x")
    assert "hidden" not in str(error.value)
