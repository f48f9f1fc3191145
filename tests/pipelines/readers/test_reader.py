import pytest

from datastore.errors import RalmError
from tests.pipelines.readers.reading import read


@pytest.mark.parametrize("kind", ["jsonl", "text", "html", "parquet", "warc", "mediawiki"])
def test_what_the_system_cannot_read_stops_the_build_and_marks_nothing(tmp_path, kind):
    with pytest.raises(RalmError, match="cannot be read"):
        read(tmp_path / "gone", kind=kind)
