"""The page of metrics, read as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from service.observability.metrics import CONTENT_TYPE, Metrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _read(page: bytes) -> Samples:
    """Every sample by its name and labels; each of them is there once."""
    found: Samples = {}
    for family in text_string_to_metric_families(page.decode("utf-8")):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_the_page_says_what_was_counted() -> None:
    metrics = Metrics()
    for status in ("200", "200", "404"):
        metrics.requests.labels("GET", "/v1/jobs/{id}", status).inc()
    metrics.request_seconds.labels("GET", "/v1/jobs/{id}").observe(0.02)
    metrics.stage_seconds.labels("decode", "succeeded").observe(4.0)
    samples = _read(metrics.expose({"queued": 3, "running": 1}, 5 * 2**30))
    route = (("method", "GET"), ("route", "/v1/jobs/{id}"))
    assert samples["turnwise_requests_total", (*route, ("status", "200"))] == 2
    assert samples["turnwise_requests_total", (*route, ("status", "404"))] == 1
    assert samples["turnwise_request_seconds_count", route] == 1
    assert samples["turnwise_request_seconds_bucket", (("le", "0.01"), *route)] == 0
    assert samples["turnwise_request_seconds_bucket", (("le", "0.025"), *route)] == 1
    stage = (("outcome", "succeeded"), ("stage", "decode"))
    assert samples["turnwise_stage_seconds_sum", stage] == 4.0
    assert samples["turnwise_jobs", (("state", "queued"),)] == 3
    assert samples["turnwise_jobs", (("state", "running"),)] == 1
    assert samples["turnwise_free_bytes", ()] == 5 * 2**30
    assert samples["process_resident_memory_bytes", ()] > 0


def test_a_state_that_empties_goes_to_zero() -> None:
    metrics = Metrics()
    metrics.expose({"queued": 3, "running": 0}, 0)
    samples = _read(metrics.expose({"queued": 0, "running": 3}, 0))
    assert samples["turnwise_jobs", (("state", "queued"),)] == 0
    assert samples["turnwise_jobs", (("state", "running"),)] == 3


def test_labels_with_signs_of_the_format_are_read_as_they_are() -> None:
    metrics = Metrics()
    odd = 'a "quoted" \\ path\nand a line'
    metrics.requests.labels("GET", odd, "200").inc()
    key = ("turnwise_requests_total", (("method", "GET"), ("route", odd), ("status", "200")))
    assert _read(metrics.expose({}, 0))[key] == 1


def test_two_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.stage_seconds.labels("decode", "succeeded").observe(1.0)
    assert not any("decode" in str(labels) for _, labels in _read(second.expose({}, 0)))


def test_the_content_type_is_that_of_the_text_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
