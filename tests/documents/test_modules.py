"""docs/modules.md is the map of the code as it is."""

import tomllib

from tests.documents.modules import PAGE, ROOT, page, rooms


def test_the_map_is_that_of_the_code():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(rooms(project)), "make format writes it anew"


def test_who_takes_a_name_is_found_within_functions_and_through_packages():
    text = PAGE.read_text(encoding="utf-8")
    entry = text[text.index("## `lm/conditioning/sources.py`") :].split("\n## ")[0]
    assert "- `serve/answering/answerer.py`:" in entry
    command = text[text.index("## `pipelines/jobs/status.py`") :].split("\n## ")[0]
    assert "- `pipelines/commands/upkeep.py`: status, " in command
