from base.errors import RalmError


def test_the_message_is_what_a_person_reads():
    assert str(RalmError("Name the thing and the mend.")) == "Name the thing and the mend."
