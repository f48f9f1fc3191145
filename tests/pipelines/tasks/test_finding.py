from pipelines.tasks.finding import Finder
from retriever.local import LocalRetriever
from retriever.request import Method, Search


def test_each_text_is_searched_for_once_and_all_together(store, monkeypatch):
    asked = []
    search = LocalRetriever.search
    monkeypatch.setattr(
        LocalRetriever, "search", lambda self, *some: asked.append(some[0]) or search(self, *some)
    )
    finder = Finder(LocalRetriever.open(store), Search(2))
    first = dict(finder.find(["blue glass", "copper bells", "blue glass"]))
    again = finder.find(["copper bells", "smoked trout"])
    assert asked == [["blue glass", "copper bells"], ["smoked trout"]]
    assert [one.title for one in first["blue glass"]] == ["Dunmarrow"] * 2
    assert again["copper bells"] is first["copper bells"]
    assert finder.search.method.name == "hybrid"


def test_what_nothing_is_known_of_finds_nothing(store):
    finder = Finder(LocalRetriever.open(store), Search(2, method=Method("bm25")))
    found = finder.find(["zyxwv", "blue glass"])
    assert (found["zyxwv"], len(found["blue glass"])) == ((), 2)
