from lm.conditioning import ALONE, WITH_PASSAGES, Conditioning, Request, Source, conversation
from lm.conditioning.shots import SHOTS, Shot
from lm.conditioning.wording import few_shot, write
from lm.prompts import Message


def test_the_best_passage_stands_next_to_the_question_and_alone_it_comes_bare():
    read = conversation("Why?", ["[1] a", "[2] b"], [Message("user", "Hello")])
    assert [turn.role for turn in read.conversation] == ["system", "user", "user"]
    assert read.conversation[0].content == WITH_PASSAGES
    assert read.conversation[-1].content == "[2] b\n\n[1] a\n\nQuestion: Why?"
    assert read.passages == 2
    alone = conversation("Why?", [])
    assert alone.conversation == (Message("system", ALONE), Message("user", "Why?"))
    assert alone.passages == 0


def test_plain_text_writes_examples_as_it_writes_the_question():
    shots = (
        Shot("Who?", "Ann.", (Source("T", "Ann did."), Source("", "Bo slept."))),
        Shot("When?", "I don't know.", (Source("", "Bo slept."),)),
    )
    read = few_shot(Request("Why?", (Message("user", "Hi"), Message("assistant", "Ho"))), ["[1] a"], shots)
    assert read.text == (
        f"{WITH_PASSAGES}\n\n[2] Bo slept.\n\n[1] T: Ann did.\n\nQuestion: Who?\nAnswer: Ann.\n\n"
        f"[1] Bo slept.\n\nQuestion: When?\nAnswer: I don't know.\n\n"
        "Question: Hi\n\nAnswer: Ho\n\n[1] a\n\nQuestion: Why?\nAnswer:"
    )
    assert (read.conversation, read.passages) == ((), 1)
    alone = few_shot(Request("Why?"), [], shots)
    assert alone.text == f"{ALONE}\n\nQuestion: Who?\nAnswer: Ann.\n\nQuestion: Why?\nAnswer:"
    assert alone.passages == 0


def test_the_prompt_is_chosen():
    request = Request("Why?")
    assert write(Conditioning(), request, ["[1] a"]) == conversation("Why?", ["[1] a"])
    plain = write(Conditioning(prompt="few-shot"), request, ["[1] a"])
    assert plain == few_shot(request, ["[1] a"], SHOTS)
    assert all(shot.question in plain.text for shot in SHOTS)
