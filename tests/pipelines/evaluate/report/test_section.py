import pytest

from pipelines.evaluate.report.section import Table


@pytest.mark.parametrize(
    ("cells", "figure"),
    [
        (("1.2 [0, 3]", "−3", "+4 points", "none (+1)", "–", ""), True),
        (("12", "dense"), False),
        (("7801a3b7",), False),
        (("1.6e+21", "5.19 MB", "100%", "1,432"), True),
        ((), False),
    ],
)
def test_columns_of_figures_are_known(cells, figure):
    assert Table("", ("value",), tuple((cell,) for cell in cells)).figures == (figure,)
