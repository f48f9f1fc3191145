from retriever.ranking.setting import Setting, SeveralSettings


def test_one_setting_is_that_of_every_store():
    assert Setting(4, 20).of_each(3) == (Setting(4, 20),) * 3


def test_several_stores_have_one_each_and_are_called_by_the_largest():
    each = (Setting(4, 200), Setting(16, 100))
    assert SeveralSettings(16, 200, each).of_each(2) == each
