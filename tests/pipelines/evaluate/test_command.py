from tests.corpus import questions, write_lines


def test_a_curve_from_the_command_line(tmp_path, store, ralm):
    asked = write_lines(tmp_path / "q.jsonl", questions())
    code, out, _ = ralm(
        "eval",
        "scaling",
        store,
        "--questions",
        asked,
        "-o",
        tmp_path / "out",
        "--fractions",
        "0.5,1",
        "--seeds",
        1,
    )
    assert code == 0
    assert out.split()[:5] == ["Scaling", "fraction", "passages", "recall", "@1"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"results.parquet", "report.md", "scaling.png"}
