from pipelines.evaluate.curve_study import Study


def test_a_smaller_fraction_has_a_view_for_each_seed_and_the_whole_store_one(tmp_path):
    study = Study(tmp_path, tmp_path, tmp_path, fractions=(0.1, 0.5, 1.0), seeds=2)
    assert [(view.fraction, view.seed) for view in study.views] == [
        *((0.1, 0), (0.1, 1)),
        *((0.5, 0), (0.5, 1)),
        (1.0, 0),
    ]
