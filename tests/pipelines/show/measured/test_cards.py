from pipelines.show.measured.cards import card
from retriever.ranking.card import Card, Rung


def test_a_setting_that_is_slower_and_finds_no_more_is_not_shown(capsys):
    rungs = (
        Rung(16, 200, 0.97, 0.95, 8192, 0.9),
        Rung(8, 100, 0.96, 0.94, 8192, 1.0),
        Rung(4, 50, 0.9, 0.6, 4096, 0.3),
        Rung(0, 0, 0.98, 0.96, 0, 2.0),
    )
    card(Card("", 1000, 10, rungs))
    out = capsys.readouterr().out
    title, _, *rows = [line.split() for line in out.splitlines()]
    assert title == ["1,000", "passages,", "10", "queries"]
    assert rows == [
        ["4", "50", "0.900", "4.1", "KB", "0.30"],
        ["16", "200", "0.970", "0.950", "8.2", "KB", "0.90"],
        ["all", "0", "0.980", "0.960", "0", "bytes", "2.00"],
    ]
