from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from serve.metrics import Metrics


def values(metrics):
    families = text_string_to_metric_families(metrics.shown().decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_what_is_counted_is_shown():
    metrics, waiting = Metrics(), [3]
    metrics.began()
    metrics.ended("POST", "/search", 200, 0.2, 0.1)
    metrics.stages({"encode": 0.01, "propose": 0.002})
    metrics.batch("search", 8)
    metrics.cached("vectors", SimpleNamespace(hits=3, misses=1))
    metrics.tokens(100, 7)
    metrics.waiting("search", lambda: waiting[0])
    metrics.line_lost()
    found = values(metrics)
    assert found["ralm:http_requests_total", "POST", "/search", "200"] == 1
    assert found["ralm:e2e_request_latency_seconds_sum", "/search"] == 0.2
    assert found["ralm:stage_seconds_count", "encode"] == 1
    assert found["ralm:batch_size_bucket", "8.0", "search"] == 1
    assert found["ralm:batch_size_bucket", "4.0", "search"] == 0
    assert found["ralm:cache_queries_total", "vectors", "yes"] == 3
    assert (found["ralm:prompt_tokens_total",], found["ralm:generation_tokens_total",]) == (100, 7)
    assert found["ralm:log_lines_lost_total",] == 1
    assert found["ralm:num_requests_waiting", "search"] == 3
    waiting[0] = 0
    assert values(metrics)["ralm:num_requests_waiting", "search"] == 0


def test_applications_count_for_themselves():
    Metrics().tokens(1, 1)
    assert values(Metrics())["ralm:prompt_tokens_total",] == 0
