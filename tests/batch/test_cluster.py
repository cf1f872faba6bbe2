"""All workers of a cluster compute in one precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from distributed import Client, LocalCluster

from rs_superres.batch.cluster import precision_of_workers
from rs_superres.system.devices import Precision


class Workers:
    """A client of workers, some of which have processors that multiply bf16."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *multiply_bf16: bool) -> None:
        self._patch, self._workers = monkeypatch, multiply_bf16

    def run(self, function: Callable[..., Any], *args: Any) -> dict[int, Any]:
        answers = {}
        for number, multiplies in enumerate(self._workers):
            with self._patch.context() as patched:
                patched.setattr(
                    "rs_superres.system.devices._multiplies_bf16",
                    lambda _, multiplies=multiplies: multiplies,
                )
                answers[number] = function(*args)
        return answers


@pytest.mark.parametrize(
    ("chosen", "workers", "precision"),
    [
        ("auto", (True, True), "bf16"),
        ("auto", (False,), "fp32"),
        ("auto", (True, False), "fp32"),
        ("bf16", (True, False), "bf16"),
    ],
)
def test_all_workers_compute_in_one_precision(
    chosen: Precision,
    workers: tuple[bool, ...],
    precision: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client: Any = Workers(monkeypatch, *workers)
    assert precision_of_workers(client, chosen, "cpu") == precision


def test_a_missing_device_is_no_error_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome of each scene says that the device is missing."""
    client: Any = Workers(monkeypatch, True)
    assert precision_of_workers(client, "auto", "cuda:99") == "fp32"


def test_the_precision_waits_for_the_first_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adaptive cluster has no worker before the first task."""
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: True)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.adapt(minimum=0, maximum=1, interval="50ms")
        assert precision_of_workers(client, "auto", "cpu") == "bf16"
