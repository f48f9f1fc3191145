from pipelines.evaluate.report.style import COLOURS, drawn, look


def test_no_two_lines_of_36_look_alike():
    looks = {(one["color"], one["marker"], str(one["linestyle"])) for one in map(look, range(36))}
    assert len(looks) == 36
    assert [look(at)["color"] for at in range(6)] == list(COLOURS)


def test_the_same_drawing_has_the_same_bytes_and_no_date_in_them():
    def draw(figure, axes):
        axes.plot([1, 2], [3, 4], label="a")
        axes.legend()

    svg, png = drawn(draw)
    assert (svg, png) == drawn(draw)
    assert png.startswith(b"\x89PNG")
    assert b"date" not in svg.lower()
    assert b"Software" not in png
    assert b"<text" not in svg
