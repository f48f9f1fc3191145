import numpy as np
import pytest

from datastore.store import Datastore
from datastore.view import View
from pipelines.evaluate.metrics import SUCCESS
from pipelines.evaluate.mixtures.found import Found
from pipelines.questions import Question
from retriever.local import LocalRetriever
from tests.corpus import questions
from tests.vectors import dense

K = 3


@pytest.fixture(scope="module")
def retriever(store):
    return LocalRetriever.open(store)


@pytest.fixture(scope="module")
def asked():
    return [Question(one["id"], one["question"], (), frozenset(one["gold_docs"])) for one in questions()]


@pytest.fixture(scope="module")
def found(retriever, asked):
    rankings = retriever.search([one.text for one in asked], dense(retriever.store.rows, View()))
    return Found.of(sorted(retriever.store.manifest.domains), SUCCESS, asked, rankings)


def searched(retriever, asked, view):
    rankings = retriever.search([one.text for one in asked], dense(K, view))
    return [
        any(SUCCESS.right(one, hit.passage) for hit in ranking.hits)
        for one, ranking in zip(asked, rankings, strict=True)
    ]


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("rate", [0.3, 0.7, 1.0])
def test_a_mixture_with_one_rate_finds_what_a_view_of_that_fraction_does(retriever, asked, found, rate, seed):
    values, short = found.successes(np.full(2, rate), K, found.hashes(seed))
    assert values.tolist() == searched(retriever, asked, View(rate, seed))
    assert short == 0


def test_without_a_domain_it_finds_what_a_view_of_the_others_does(retriever, asked, found):
    values, _ = found.successes(np.array([1.0, 0.0]), K, found.hashes(0))
    assert values.tolist() == searched(retriever, asked, View(domains=found.domains[:1]))
    assert values.any()


def test_questions_of_which_too_few_passages_are_left_are_counted(asked, found):
    values, short = found.successes(np.zeros(2), K, found.hashes(0))
    assert not values.any()
    assert short == len(asked)


def test_parts_of_other_depths_are_joined(found):
    cut = Found(found.domains, found.domain[:2, :4], found.keys[:2, :4], found.right[:2, :4])
    joined = cut.joined(found)
    assert joined.domain.shape == (len(found.domain) + 2, found.domain.shape[1])
    values, short = joined.successes(np.ones(2), 5, joined.hashes(0))
    assert short == 2
    assert values[2:].tolist() == found.successes(np.ones(2), 5, found.hashes(0))[0].tolist()


def test_domains_are_those_of_the_store(store, found):
    assert set(found.domains) == set(Datastore.open(store).manifest.domains) == {"history", "travel"}
