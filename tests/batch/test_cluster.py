"""What workers are asked before they work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rs_superres.batch.cluster import precision_of_workers
from rs_superres.system.devices import Precision


class Workers:
    """A client's workers; a processor of each is as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *multiply_bf16: bool) -> None:
        self._patch, self._each = monkeypatch, multiply_bf16

    def run(self, function: Callable[..., Any], *args: Any) -> dict[int, Any]:
        made = {}
        for number, there in enumerate(self._each):
            with self._patch.context() as patched:
                patched.setattr(
                    "rs_superres.system.devices._multiplies_bf16", lambda _, there=there: there
                )
                made[number] = function(*args)
        return made


@pytest.mark.parametrize(
    ("asked", "workers", "precision"),
    [
        ("auto", (True, True), "bf16"),
        ("auto", (False,), "fp32"),
        ("auto", (True, False), "fp32"),
        ("bf16", (True, False), "bf16"),
    ],
)
def test_all_workers_compute_in_one_precision(
    asked: Precision,
    workers: tuple[bool, ...],
    precision: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client: Any = Workers(monkeypatch, *workers)
    assert precision_of_workers(client, asked, "cpu") == precision


def test_a_device_that_is_not_there_is_for_the_scenes_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client: Any = Workers(monkeypatch, True)
    assert precision_of_workers(client, "auto", "cuda:99") == "fp32"
