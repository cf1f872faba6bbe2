"""One scene of a batch, without a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rs_superres.batch.job import Job, SceneOutcome, upscale_scene
from rs_superres.engine import Options

PAM = "<PAMDataset><Metadata><MDI key='OLD'>1</MDI></Metadata></PAMDataset>"


@pytest.fixture
def run(tmp_path: Path, tiny: str, scene: Path) -> Callable[..., SceneOutcome]:
    """A function that upscales the scene to ``out/scene.tif``, with a preview."""
    options = Options(model=tiny, steps=0, scale=2, preview=tmp_path / "out" / "scene.png")

    def upscaled(*, overwrite: bool) -> SceneOutcome:
        job = Job(
            number=0,
            name="scene.tif",
            source=str(scene),
            out=tmp_path / "out" / "scene.tif",
            options=replace(options, overwrite=overwrite),
            skip_existing=True,
        )
        return upscale_scene(job, lambda *_: None)

    return upscaled


def test_files_of_an_earlier_result_fail_a_scene_unless_it_may_be_overwritten(
    tmp_path: Path, run: Callable[..., SceneOutcome]
) -> None:
    old = tmp_path / "out" / "scene.tif.aux.xml"
    old.parent.mkdir()
    old.write_text(PAM)
    outcome = run(overwrite=False)
    assert (outcome.status, outcome.transient) == ("failed", False)
    assert "scene.tif.aux.xml, left from an earlier" in str(outcome.error)
    assert run(overwrite=True).status == "done"
    assert not old.exists()


def test_files_of_an_earlier_preview_need_permission_too(
    tmp_path: Path, run: Callable[..., SceneOutcome]
) -> None:
    assert run(overwrite=False).status == "done"
    preview, old = tmp_path / "out" / "scene.png", tmp_path / "out" / "scene.png.aux.xml"
    preview.unlink()
    old.write_text(PAM)
    outcome = run(overwrite=False)
    assert outcome.status == "failed"
    assert "scene.png.aux.xml, left from an earlier" in str(outcome.error)
    assert run(overwrite=True).status == "skipped"
    assert preview.exists()
    assert not old.exists()
