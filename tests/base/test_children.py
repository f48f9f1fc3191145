import subprocess
import sys

from base.children import environment


def test_a_child_imports_what_its_parent_does(monkeypatch, tmp_path):
    (tmp_path / "found_here.py").write_text("print('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    command = [sys.executable, "-c", "import base.children, found_here"]
    ran = subprocess.run(command, env=environment(), cwd="/", capture_output=True, text=True, check=True)
    assert ran.stdout == "imported\n"


def test_a_child_gets_the_rest_of_the_environment(monkeypatch):
    monkeypatch.setenv("SAID_HERE", "yes")
    assert environment()["SAID_HERE"] == "yes"
