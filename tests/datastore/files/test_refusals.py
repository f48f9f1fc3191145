import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError, Unavailable
from datastore.files.refusals import explain, refused


def test_a_full_disk_becomes_a_sentence(tmp_path):
    with (
        pytest.raises(OSError, match="No space left") as caught,
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    found = explain(caught.value, tmp_path / "vectors")
    assert isinstance(found, RalmError)
    assert "No space left to write" in str(found)
    assert "vectors" in str(found)


@given(st.sampled_from(sorted(errno.errorcode)))
def test_whatever_the_system_says_names_the_file_and_a_mend(number):
    error = OSError(number, os.strerror(number), "folder/file")
    found = explain(error, Path("folder/file"))
    assert isinstance(found, RalmError)
    for sentence in (str(found), refused(error)):
        assert "folder/file" in sentence
        assert sentence.endswith(".")
        assert "Errno" not in sentence


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.EROFS])
def test_what_another_machine_may_manage_is_tried_there(number):
    assert isinstance(explain(OSError(number, ""), Path("x")), Unavailable)


def test_an_error_that_is_not_the_systems_stays_itself():
    error = OSError("a batch is cut short")
    assert explain(error, Path("x")) is error
    assert "a batch is cut short" in refused(error)


def test_a_name_that_is_no_text_can_be_printed():
    assert "\\xff.jsonl" in refused(OSError(errno.EIO, "broken", "\udcff.jsonl"))
