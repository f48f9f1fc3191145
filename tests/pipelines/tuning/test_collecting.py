from pipelines.execution.progress import Silent
from pipelines.tuning.collecting import Corpus, Wanted, collect
from pipelines.tuning.held_out import HeldOut
from retriever.local import LocalRetriever
from retriever.request import Method
from tests.corpus import questions, write_lines


def corpus(store, *held_out, seed=0):
    return Corpus(LocalRetriever.open(store), Method(), HeldOut(held_out), seed)


def test_what_is_held_out_teaches_nothing_by_question_or_document(store, tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions())
    found = collect(corpus(store, "q0", "Bralgate"), Wanted((path,)), Silent())
    assert found.held_out == 1
    assert not any("Arvenholm lie" in one.question for one in found.examples)
    assert not any(source.title == "Bralgate" for one in found.examples for source in one.sources)
    assert sum(found.kinds.values()) == len(found.examples)


def test_the_same_corpus_and_seed_give_the_same_lessons(store, tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions())
    once, again, other = (
        collect(corpus(store, seed=seed), Wanted((path,), 4), Silent()) for seed in (0, 0, 1)
    )
    assert once == again
    assert once != other


def test_titles_are_asked_for(store, tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions()[:1])
    found = collect(corpus(store), Wanted((path,), 6), Silent())
    assert 0 < found.kinds["title"] <= 6


def test_lessons_of_a_question_are_drawn_as_often_as_wanted(store, tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions()[:3])
    once, often = (collect(corpus(store), Wanted((path,), draws=draws), Silent()) for draws in (1, 3))
    of_others, three_times = (sum(bool(one.expected) for one in some.examples) for some in (once, often))
    assert three_times == 3 * of_others > 0
    assert len(set(often.examples)) > len(set(once.examples))
