from base.memory import available_memory


def test_this_machine_says_how_much_memory_it_has():
    free = available_memory()
    assert free is not None
    assert 2**26 < free < 2**50
