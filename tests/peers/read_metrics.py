"""Reads /metrics of an address in both formats with Prometheus's own parsers, and prints the names of all samples."""

import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus


def samples(accept, kind, parse):
    request = urllib.request.Request(sys.argv[1] + "/metrics", headers={"Accept": accept, "Authorization": f"Bearer {sys.argv[2]}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["content-type"].startswith(kind), answer.headers["content-type"]
        text = answer.read().decode()
    return {sample.name for family in parse(text) for sample in family.samples}


classic = samples("*/*", "text/plain; version=0.0.4", prometheus)
opened = samples("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", open_metrics)
assert classic == opened, classic ^ opened
print("\n".join(sorted(classic)))
