from datastore.layout import Layout
from datastore.manifest import open_current
from datastore.sweep import sweep
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.verify import verify


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
