from lm.prompts import Prompt
from lm.reader import Completion
from pipelines.evaluate.questions.asking import answer_once
from pipelines.execution.progress import Silent


class Told(Silent):
    """Progress that remembers what it was told."""

    def __init__(self):
        self.heard = []

    def start(self, *what):
        self.heard.append(what)

    def advance(self, units):
        self.heard.append(units)

    def finish(self):
        self.heard.append("finished")


class Counting:
    """Counts what it is asked, and says it louder."""

    name, context_tokens = "counting", 4096

    def __init__(self):
        self.asked = []

    def count_tokens(self, text):
        return len(text.split())

    def prompt_tokens(self, prompt):
        return self.count_tokens(prompt.text)

    def generate(self, prompts, sampling):
        self.asked += prompts
        return [Completion(prompt.text.upper(), 1, 1, True) for prompt in prompts]


def test_the_same_prompt_is_answered_once():
    reader = Counting()
    told = Told()
    prompts = [Prompt(text=text) for text in ("b", "a", "b", "ccc", "a")]
    found = answer_once(reader, prompts, told)
    assert {prompt.text: text for prompt, text in found.items()} == {"a": "A", "b": "B", "ccc": "CCC"}
    assert told.heard == [("answer", "prompts", 3, 0), 3, "finished"]
    assert sorted(prompt.text for prompt in reader.asked) == ["a", "b", "ccc"]
