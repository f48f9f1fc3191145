from pipelines.readers.records import Unreadable
from tests.pipelines.readers.reading import read


def test_text_and_html_files_are_documents(tmp_path):
    (tmp_path / "a.md").write_bytes("\ufeff# Title\n\nDas Café.".encode())
    (tmp_path / "b.html").write_text(
        "<html><head><title>T</title><script>var x = 1;</script></head><body><article><p>The first paragraph "
        "of this page says something long enough to be kept.</p></article></body></html>"
    )
    (md,) = read(tmp_path / "a.md", kind="text")
    assert (md.id, md.domain, md.text) == ("a.md", "a", "# Title\n\nDas Café.")
    (html,) = read(tmp_path / "b.html", kind="html")
    assert "first paragraph" in html.text
    assert "var x" not in html.text


def test_text_that_is_not_utf8_or_too_large_says_how_to_mend_it(tmp_path):
    (tmp_path / "a.txt").write_bytes("café".encode("latin-1"))
    (found,) = read(tmp_path / "a.txt", kind="text")
    assert found.reason == "invalid UTF-8 at byte 3: convert the file to UTF-8"
    (tmp_path / "b.txt").write_bytes(b"x" * 5000)
    (found,) = read(tmp_path / "b.txt", kind="text", limit=4096)
    assert "max_record_bytes" in found.reason
    (tmp_path / "c.html").write_bytes(b"")
    (found,) = read(tmp_path / "c.html", kind="html")
    assert isinstance(found, Unreadable)


def test_front_matter_is_metadata_of_markdown_alone(tmp_path):
    written = "---\ntitle: On bridges\nid: intro\nyear: 1787\n---\n\n# Bridges\n\nStone.\n"
    for name in ("a.md", "b.Markdown", "c.rst", "d.txt"):
        (tmp_path / name).write_text("\ufeff" + written)
    for name in ("a.md", "b.Markdown"):
        (found,) = read(tmp_path / name, kind="text")
        assert (found.id, found.text) == (name, "# Bridges\n\nStone.\n")
        assert found.metadata == {"title": "On bridges", "id": "intro", "year": 1787}
    for name in ("c.rst", "d.txt"):
        (found,) = read(tmp_path / name, kind="text")
        assert (found.text, found.metadata) == (written, {})


def test_broken_front_matter_stays_text(tmp_path):
    (tmp_path / "a.md").write_text("---\ntitle: [broken\n---\nText.")
    (found,) = read(tmp_path / "a.md", kind="text")
    assert (found.text, found.metadata) == ("---\ntitle: [broken\n---\nText.", {})
