import sys
from hypothesis import HealthCheck, Phase, settings, seed, Verbosity
from hypothesis.stateful import run_state_machine_as_test
def test_explore(server, tmp_path, monkeypatch):
    import os
    from tests.unit.test_shipment_story import ShipmentStory
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    class S(ShipmentStory):
        def __init__(self): super().__init__(server, tmp_path)
    S=seed(int(os.environ.get("SEED","1")))(S) if False else S
    run_state_machine_as_test(S, settings=settings(max_examples=int(os.environ.get("N","40")), stateful_step_count=30, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), report_multiple_bugs=False))
