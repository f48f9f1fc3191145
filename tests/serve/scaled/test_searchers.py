"""Groups of shards that are asked together: who answers, who does not, and who must be ready."""

import pytest

from base.errors import RalmError, Unavailable
from serve.scaled.searchers import DeployedSearchers

GROUPS = [range(0, 2), range(2, 5)]


class Group:
    """Calls of one group's deployment: what it was asked, in order."""

    def __init__(self, reply):
        self.reply, self.asked = reply, []

    def begin(self, method, *arguments):
        self.asked.append(("begin", method, *arguments))
        return "begun"

    def ended(self, begun, method, *arguments, patience):
        self.asked.append(("ended", begun, round(patience)))
        return self._given()

    def everywhere(self, method, *arguments, patience):
        self.asked.append(("everywhere", method, *arguments))
        return self._given()

    def _given(self):
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


def test_all_are_asked_before_one_is_waited_for_and_who_is_lost_is_said():
    well, lost = Group("found"), Group(Unavailable("gone"))
    holders = DeployedSearchers("/store", [well, lost])
    calls = {0: ("ticket 0", 3), 1: ("ticket 1", 3)}
    assert holders.ask("candidates", calls, 9.0, GROUPS) == ({0: "found"}, [1])
    assert well.asked == [("begin", "ask", "/store", "candidates", "ticket 0", 3), ("ended", "begun", 9)]
    assert lost.asked[0] == ("begin", "ask", "/store", "candidates", "ticket 1", 3)
    assert holders.silence.among(2) == [1]
    lost.reply = "back"
    assert holders.ask("candidates", calls, 9.0, GROUPS) == ({0: "found", 1: "back"}, [])
    assert holders.silence.among(2) == []


def test_all_are_waited_for_until_the_same_moment(monkeypatch):
    now = [100.0]

    class Late(Group):
        def ended(self, begun, method, *arguments, patience):
            now[0] += min(patience, 9.0)
            return super().ended(begun, method, *arguments, patience=patience)

    monkeypatch.setattr("serve.scaled.searchers.monotonic", lambda: now[0])
    groups = [Late("found") for _ in range(4)]
    holders = DeployedSearchers("/store", groups)
    holders.ask("candidates", {n: () for n in range(4)}, 20.0, [range(n, n + 1) for n in range(4)])
    assert [one.asked[1][2] for one in groups] == [20, 11, 2, 0]
    assert now[0] == pytest.approx(120.1)


def test_a_generation_is_made_ready_in_each_replica():
    group = Group([4, 4])
    assert DeployedSearchers("/store", [group]).ask("ready", {0: ("ticket",)}, 9.0, GROUPS) == (
        {0: [4, 4]},
        [],
    )
    assert group.asked == [("everywhere", "ask", "/store", "ready", "ticket")]


def test_what_a_searcher_refuses_is_raised():
    with pytest.raises(RalmError, match="built anew"):
        DeployedSearchers("/store", [Group(RalmError("built anew"))]).ask("ready", {0: ("t",)}, 9.0, GROUPS)
