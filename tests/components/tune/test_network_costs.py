import time

import pytest

from components.tune import network
from components.tune.network import measure
from models import fishnet


def test_costs_are_the_weights_and_the_median_time_of_an_image(monkeypatch):
    model = fishnet.build("fishnet_tiny", 6, (16, 16, 3), stem="small")
    # Half of the answers take 10 s by this clock, one of them a minute, and the first ones longer.
    takes = [100.0] * network.WARM_UP + [2.0, 10.0] * (network.TIMED // 2)
    takes[-1] = 60.0
    times = iter([t for taken in takes for t in (0.0, taken)])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    costs = measure(model)
    assert costs.parameters == model.count_params()
    assert costs.latency_ms == 6000  # between 2 and 10 s, of which there are as many
    with pytest.raises(StopIteration):
        next(times)


def test_wider_network_costs_more():
    from models.configs import scaled

    costs = [
        measure(fishnet.build(scaled("fishnet_tiny", width), 6, (64, 64, 3))) for width in (1, 8)
    ]
    assert costs[1].parameters > 30 * costs[0].parameters
    assert 0 < costs[0].latency_ms < costs[1].latency_ms
