"""The audit of results of products."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from rs_superres.engine import Plan, run
from rs_superres.verify import Audit, Finding, verify
from tests import products, rasters
from tests.cli.calls import main

Make = Callable[..., Plan]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return products.sentinel2(tmp_path_factory.mktemp("product"))


def failed(audit: Audit) -> set[str]:
    return {finding.name for finding in audit.failed}


def finding_of(audit: Audit, name: str) -> Finding:
    return next(finding for finding in audit.findings if finding.name == name)


def test_bands_are_found_by_name_and_compared_on_their_own_pixels(
    product: Path, make: Make
) -> None:
    plan = make(product, scale=2, bidx=("B05", "SCL", "B02"), format="gtiff")
    run(plan)
    out = str(plan.out)
    calls: list[tuple[int, int]] = []
    audit = verify(out, product, progress=lambda done, total: calls.append((done, total)))
    # Pixels of 10 m and of 20 m are compared apart, and counted together.
    assert calls == [(done, 2) for done in (1, 2)]
    assert not audit.failed, audit.failed
    assert finding_of(audit, "bands").detail == "the result has 3, the source 3"
    # Of one band: classes are not compared, and bands of 10 m are compared apart.
    assert finding_of(audit, "mask lost").detail == "0 of 57600 pixels"
    assert audit == verify(out, product, bidx=("B05", "SCL", "B02"))
    called = CliRunner().invoke(main, ["verify", out, str(product), "--bands", "b5,13,B02", "-q"])
    assert called.exit_code == 0, called.output
    assert called.stdout.splitlines()[-1].startswith("PASS: ")

    # Half a pixel of 20 m.
    shifted = rasters.read(plan.out)
    shifted[0] = np.roll(shifted[0], 2, axis=1)
    with rasters.opened(out, "r+") as dataset:
        dataset.write(shifted)
    audit = verify(out, product)
    assert "registration" in failed(audit)
    shift = finding_of(audit, "registration")
    assert shift.measured == pytest.approx(0.5, abs=0.02)
    assert shift.detail.startswith("band 1: ")
    called = CliRunner().invoke(main, ["verify", out, str(product), "-q"])
    assert called.exit_code == 1
    assert f"{out} fails" in called.stderr


def test_a_result_that_confuses_two_bands_fails(product: Path, make: Make) -> None:
    plan = make(product, scale=2, bidx=("B05", "B06"), format="gtiff")
    run(plan)
    assert not verify(str(plan.out), product).failed
    with rasters.opened(plan.out, "r+") as dataset:
        dataset.descriptions = ("B06", "B05")
    assert "rms" in failed(verify(str(plan.out), product))


def test_a_result_without_names_holds_the_bands_of_a_default_run(product: Path, make: Make) -> None:
    plan = make(product, scale=2, bidx=("B05",), format="gtiff")
    run(plan)
    with rasters.opened(plan.out, "r+") as dataset:
        dataset.descriptions = ("",)
        assert not verify(str(plan.out), product).failed  # a tag says which band it is
        dataset.update_tags(SUPERRES_SOURCE_BANDS="")
    audit = verify(str(plan.out), product)
    assert finding_of(audit, "bands").detail == "the result has 1, the source 5"
    assert "bands" in failed(audit)
    assert not verify(str(plan.out), product, bidx=("B05",)).failed


def test_interpolated_classes_are_found(product: Path, make: Callable[..., Plan]) -> None:
    plan = make(product, scale=2, bidx=("B02", "SCL"))
    run(plan)
    assert finding_of(verify(str(plan.out), str(product)), "classes").measured == 0
    with rasterio.open(plan.out, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as result:
        classes = result.read(2)
        classes[10:20, 10:20] += 1
        result.write(classes, 2)
    finding = finding_of(verify(str(plan.out), str(product)), "classes")
    assert finding.detail.startswith("100 of ")
    assert finding.verdict == "fail"
