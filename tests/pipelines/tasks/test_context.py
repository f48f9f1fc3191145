import json

from lm.prompts import Message, Prompt
from pipelines.tasks.context import Context, behind, prompt_of

TALK = Prompt((Message("system", "Be brief."), Message("user", "Who makes glass?")))


def test_a_text_is_taken_as_it_stands_and_a_conversation_comes_back_from_its_text():
    assert prompt_of("Glass is") == Prompt(text="Glass is")
    assert prompt_of(Context.of(TALK)) is TALK
    assert json.loads(json.dumps(Context.of(TALK))) == Context.of(TALK)


def test_conversations_that_differ_have_texts_that_differ():
    begun = Prompt(TALK.conversation, "Dunmarrow")
    turned = Prompt(tuple(reversed(TALK.conversation)))
    assert len({Context.of(one) for one in (TALK, begun, turned)}) == 3


def test_a_turn_that_is_begun_is_no_turn_of_its_own():
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "It is"}]
    assert prompt_of(Context.of_turns(turns, open_end=True)) == Prompt((Message("user", "Who?"),), "It is")
    assert len(prompt_of(Context.of_turns(turns)).conversation) == 2


def test_passages_stand_before_a_text_the_best_one_last():
    found = behind(Prompt(text="Q: a\nA: b\n\nQ: Who?\nA:"), ["[1] Best.", "[2] Second."])
    assert found.text == "[2] Second.\n\n[1] Best.\n\nQ: a\nA: b\n\nQ: Who?\nA:"
    assert found.passages == 2


def test_passages_stand_before_the_last_question_of_a_conversation_alone():
    found = behind(Prompt(TALK.conversation, "It is"), ["[1] Best."])
    assert found.conversation == (TALK.conversation[0], Message("user", "[1] Best.\n\nWho makes glass?"))
    assert (found.text, found.passages) == ("It is", 1)
    assert behind(TALK, []) is TALK
