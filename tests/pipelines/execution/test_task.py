from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.execution.task import Task
from tests.pipelines.stages import Failing, Noting


def test_a_task_that_is_performed_is_marked(tmp_path):
    layout = Layout(tmp_path)
    Task(Failing(layout, "sentence"), 2).perform()
    assert layout.done("failing", 2) == Marker({"number": 2})
    assert layout.measured("failing", 2).exists()


def test_a_task_is_for_a_gpu_if_its_stage_is(tmp_path):
    layout = Layout(tmp_path)
    assert Task(Noting(layout, "one", "cuda"), 0).on_gpu
    assert not Task(Noting(layout, "one"), 0).on_gpu
    assert not Task(Failing(layout, "once"), 0).on_gpu  # It says nothing of a device.
