"""Files of word processors, printers and e-books, as tests need them: whole, locked, scanned or broken."""

import io
import zipfile

import docx
import pypdf

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
OPF = 'xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"'


def pdf(*pages, info="", password=None):
    """A PDF of pages of lines of text; a page that is None holds an image alone."""
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>"
        % (len(pages), b" ".join(b"%d 0 R" % (6 + 2 * n) for n in range(len(pages)))),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        _stream(
            b"\x00\xff" * 8,
            b"/Type /XObject /Subtype /Image /Width 4 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8",
        ),
        b"<< " + info.encode("latin-1") + b" >>",
    ]
    for number, lines in enumerate(pages):
        bodies.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> /XObject << /I 4 0 R >> >> >>" % (7 + 2 * number)
        )
        bodies.append(_stream(b"q 500 0 0 700 50 50 cm /I Do Q" if lines is None else _lines(lines)))
    data = _file(bodies)
    return _locked(data, password) if password is not None else data


def _lines(lines):
    shown = b"".join(
        b"("
        + line.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        + b") ' "
        for line in lines
    )
    return b"BT /F 10 Tf 12 TL 50 750 Td " + shown + b"ET"


def _stream(data, entries=b""):
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def _file(bodies):
    found, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(found))
        found += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    at = len(found)
    found += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    found += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    found += b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(bodies) + 1,
        at,
    )
    return bytes(found)


def _locked(data, password):
    """With a password for the user; an owner's alone leaves it readable."""
    writer, made = pypdf.PdfWriter(clone_from=io.BytesIO(data)), io.BytesIO()
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    writer.write(made)
    return made.getvalue()


def word(fill):
    """A Word file by python-docx; `fill` is handed its document."""
    document, made = docx.Document(), io.BytesIO()
    fill(document)
    document.save(made)
    return made.getvalue()


def word_of(body, **parts):
    """A Word file around the XML of a body, with other parts by name."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    rels = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    notes = "".join(f'<Relationship Id="{name}" Type="{kind}/{name}" Target="{name}.xml"/>' for name in parts)
    return zipped(
        {
            "_rels/.rels": f'<Relationships {rels}><Relationship Id="a" Type="{kind}/officeDocument" '
            'Target="word/document.xml"/></Relationships>',
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": f"<Relationships {rels}>{notes}</Relationships>",
            **{f"word/{name}.xml": content for name, content in parts.items()},
        }
    )


def book(*pages, extra=(), head="", opf="OEBPS/book.opf", **metadata):
    """An e-book of pages of XHTML, the body's content of each; `extra` are other parts."""
    said = "".join(f"<dc:{name}>{value}</dc:{name}>" for name, value in metadata.items())
    items = "".join(
        f'<item id="p{n}" href="page%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(pages))
    )
    spine = "".join(f'<itemref idref="p{n}"/>' for n in range(len(pages)))
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            f'<rootfiles><rootfile full-path="{opf}"/></rootfiles></container>',
            opf: f"<package {OPF}><metadata>{said}</metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>",
            **{
                f"OEBPS/page {n}.xhtml": f'{head}<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
                f"<body>{page}</body></html>"
                for n, page in enumerate(pages)
            },
            **dict(extra),
        }
    )


def zipped(parts):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()
