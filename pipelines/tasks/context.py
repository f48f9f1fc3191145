"""What stands before an answer: to lm-eval a text, to a reader a prompt; and passages put in front of it.

Knows no lm-eval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lm.prompts import Message, Prompt


class Context(str):
    """A prompt as lm-eval hands it on: it stores, shows and hashes its text, and looks no further."""

    prompt: Prompt

    @classmethod
    def of(cls, prompt: Prompt) -> "Context":
        """A prompt as a text that no other prompt has."""
        turns = [f"{turn.role}: {turn.content}" for turn in prompt.conversation]
        made = cls("\n\n".join([*turns, f"assistant: {prompt.text}"]) if turns else prompt.text)
        made.prompt = prompt
        return made

    @classmethod
    def of_turns(cls, turns: Sequence[Mapping[str, str]], open_end: bool = False) -> "Context":
        """A conversation as lm-eval writes it; with an `open_end` its last turn is the reader's, begun."""
        begun = turns[-1]["content"] if open_end else ""
        said = turns[:-1] if open_end else turns
        return cls.of(Prompt(tuple(Message(one["role"], one["content"]) for one in said), begun))


def prompt_of(context: str) -> Prompt:
    """The prompt that a context stands for: a plain text is taken as it stands."""
    return context.prompt if isinstance(context, Context) else Prompt(text=context)


def behind(prompt: Prompt, passages: Sequence[str]) -> Prompt:
    """A prompt with passages put in front: of a text, or of a conversation's last question.

    Examples, instructions and the question stay as they are. The best passage is the last, next to them.
    """
    if not passages:
        return prompt
    front = "\n\n".join(reversed(passages)) + "\n\n"
    if not prompt.conversation:
        return Prompt(text=front + prompt.text, passages=len(passages))
    last = prompt.conversation[-1]
    asked = Message(last.role, front + last.content)
    return replace(prompt, conversation=(*prompt.conversation[:-1], asked), passages=len(passages))
