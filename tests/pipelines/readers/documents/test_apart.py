import os
import signal
import subprocess
import sys

import pytest

from pipelines.readers.documents import apart
from pipelines.readers.documents import pdf as pdf_reader
from pipelines.readers.documents.extracted import NoDocumentError
from tests.pipelines.readers.office import book, pdf, word, word_of

LIMIT = 1 << 20
PAGE = ["The old stone bridge was built in 1787."]


def process():
    return apart._children[0]._process


def test_files_of_each_kind_are_taken_apart_by_one_process():
    assert apart.extract("pdf", pdf(PAGE), LIMIT).text == PAGE[0]
    first = process().pid
    assert (
        apart.extract("docx", word(lambda document: document.add_paragraph("It stands.")), LIMIT).text
        == "It stands."
    )
    assert apart.extract("epub", book("<p>Über Brücken 石</p>"), LIMIT).text == "Über Brücken 石"
    with pytest.raises(NoDocumentError, match="no zip archive"):
        apart.extract("docx", b"", LIMIT)
    assert process().pid == first


def test_a_process_that_was_ended_by_others_costs_no_file():
    apart.extract("pdf", pdf(PAGE), LIMIT)
    gone = process()
    os.kill(gone.pid, signal.SIGKILL)
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
    assert apart.extract("pdf", pdf(PAGE), LIMIT).text == PAGE[0]
    assert process().pid != gone.pid


def test_a_file_that_takes_too_much_memory_costs_itself_alone(monkeypatch):
    monkeypatch.setattr(apart, "BYTES", 1 << 20)
    monkeypatch.setattr(apart, "_TIMES", 0)
    with pytest.raises(NoDocumentError, match=r"crashes the library .* takes more than 1 MiB of memory \("):
        apart.extract("docx", word_of("<w:p/>" * 150_000), LIMIT)
    monkeypatch.undo()
    assert apart.extract("pdf", pdf(PAGE), LIMIT).text == PAGE[0]


@pytest.fixture
def held_back():
    """The signal of time that is up, held back in this process and in those that it starts."""
    apart._end()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_what_takes_too_long_is_given_up(monkeypatch, held_back):
    monkeypatch.setattr(apart, "SECONDS", 0.05)
    long = pdf(*[[f"Line {n} of a page that is full." for n in range(60)]] * 2000)
    with pytest.raises(NoDocumentError, match=r"takes more than 0\.05 seconds of processor time"):
        apart.extract("pdf", long, 1 << 26)
    monkeypatch.undo()
    assert apart.extract("pdf", pdf(PAGE), LIMIT).text == PAGE[0]


def test_a_library_that_is_missing_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    monkeypatch.delitem(sys.modules, "pipelines.readers.documents.pdf", raising=False)
    assert apart._answer("pdf", b"", LIMIT) == {
        "lacks": "PDF files are read by pypdfium2: pip install pypdfium2."
    }


def test_a_library_that_finds_no_memory_is_not_missing(monkeypatch):
    def loaded(data, limit):
        raise ImportError("binascii.so: failed to map segment from shared object", name="binascii")

    monkeypatch.setattr(pdf_reader, "extract", loaded)
    with pytest.raises(MemoryError, match="binascii"):
        apart._answer("pdf", b"", LIMIT)


def test_a_defect_of_ours_is_no_reason(monkeypatch):
    monkeypatch.setattr(pdf_reader, "extract", lambda data, limit: data.nothing)
    assert "AttributeError" in apart._answer("pdf", b"", LIMIT)["defect"]


def test_it_ends_with_who_asked():
    code = (
        "from pipelines.readers.documents import apart\n"
        "try: apart.extract('docx', b'', 9)\n"
        "except Exception as error: print(error, apart._children[0]._process.pid)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no zip archive" in ended.stdout
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout.split()[-1]), 0)


def test_what_is_broken_off_is_not_taken_for_the_next(monkeypatch):
    """As by Ctrl-C between question and answer."""

    def broken(stream):
        raise KeyboardInterrupt

    apart.extract("pdf", pdf(PAGE), LIMIT)
    with monkeypatch.context() as patched:
        patched.setattr(apart, "_read", broken)
        with pytest.raises(KeyboardInterrupt):
            apart.extract("pdf", pdf(["Another."]), LIMIT)
    assert apart.extract("pdf", pdf(PAGE), LIMIT).text == PAGE[0]
