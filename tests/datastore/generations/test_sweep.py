import threading

from datastore.files.layout import Layout
from datastore.files.writing import atomic_write
from datastore.generations.generation import open_current
from datastore.generations.sweep import sweep
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.verify import verify
from tests.corpus import documents


def test_a_takedown_at_the_same_time_loses_nothing(own_store):
    """Its files are on the disk before its manifest is: to a sweep they would belong to nobody."""
    layout, done = Layout(own_store), threading.Event()

    def sweep_again_and_again():
        while not done.is_set():
            sweep(layout)

    sweeping = threading.Thread(target=sweep_again_and_again)
    sweeping.start()
    for document in documents()[:12]:
        take_down(layout, Takedowns(frozenset({Takedown(document["domain"], document["id"])})))
    done.set()
    sweeping.join()
    assert verify(own_store) == []


def test_what_is_being_written_is_left_alone(own_store):
    layout = Layout(own_store)
    path = own_store / "index" / "Flat" / "lists.0.bin"

    def fill(handle):
        handle.write(b"half of it")
        sweep(layout)
        with layout.lock():
            pass
        handle.write(b", and the rest")

    atomic_write(path, fill)
    assert path.read_bytes() == b"half of it, and the rest"


def test_what_belongs_to_a_generation_in_use_stays(own_store):
    layout = Layout(own_store)
    first, of_first = open_current(layout)
    take_down(layout, Takedowns(frozenset({Takedown("history", "Arvenholm-0")})))
    second, of_second = open_current(layout)
    third = take_down(layout, Takedowns(frozenset({Takedown("travel", "Arvenholm-1")})))
    stray = own_store / "passages" / "00099.arrow"
    stray.write_bytes(b"of a job that was given up")
    swept = sweep(layout)
    assert swept.bytes == len(b"of a job that was given up")
    assert swept.open == (1, 2)
    assert all((own_store / file.path).exists() for m in (first, second) for file in m.files)
    of_first.release()
    of_second.release()
    assert sweep(layout).open == ()
    replaced = {f.path for f in second.files} - {f.path for f in third.files}
    assert replaced
    assert not any((own_store / path).exists() for path in replaced)
    assert verify(own_store) == []
