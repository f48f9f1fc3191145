import orjson

from pipelines.show.terminal import console
from pipelines.show.unreadable import unreadable


def listed(folder, *lines):
    folder.mkdir(exist_ok=True)
    for number, several in enumerate(lines):
        rows = [
            orjson.dumps({"file": file, "record": record, "reason": reason})
            for file, record, reason in several
        ]
        (folder / f"{number:05d}.jsonl").write_bytes(b"".join(row + b"\n" for row in rows))
    with console.capture() as said:
        unreadable(folder)
    return said.get().splitlines()


def test_each_file_is_named_once_with_its_first_reason(tmp_path):
    damaged = [("a.jsonl.gz", number, f"broken {number}") for number in range(7, 107)]
    said = listed(
        tmp_path / "unreadable", [*damaged, ("locked.pdf", 1, "it is encrypted")], [("b.csv", 3, "[x]")]
    )
    assert said[0].endswith("unreadable/")
    assert said[1:] == [
        "  a.jsonl.gz, record 7 and 99 more: broken 7",
        "  locked.pdf: it is encrypted",
        "  b.csv, record 3: [x]",
    ]


def test_of_many_files_the_first_are_named(tmp_path):
    said = listed(tmp_path / "unreadable", [(f"{n}.pdf", 1, "x" * 1000) for n in range(20)])
    assert said[-1] == "  and 14 more files"
    assert len(said) == 8
    assert max(map(len, said[1:])) < 200
