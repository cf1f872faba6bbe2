"""Which failures of a scene may pass."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from rs_superres import zoo
from rs_superres.batch.job import Job, load_once, may_pass, upscale_scene
from rs_superres.engine import Options
from rs_superres.errors import InputError, ModelError, RasterError, WriteError
from tests import rasters
from tests.rasters import RGB, textured


def raised(text: str, cause: Exception | None = None) -> RasterError:
    error = RasterError(text)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (raised("cannot read a.tif: Read failed"), False),
        (raised("cannot open a.tif: HTTP response code: 404"), False),
        (raised("cannot open a.tif: HTTP response code: 503"), True),
        (raised("cannot open a.tif: HTTP response code: 429"), True),
        (raised("cannot open CURL/timeout.tif: not recognized"), False),
        (raised("cannot read a.tif", OSError("CURL error: Operation too slow")), True),
        (raised("cannot read a.tif", OSError(errno.ESTALE, "Stale file handle")), True),
        (raised("cannot write a.tif", OSError(errno.ENOSPC, "No space left on device")), False),
        (WriteError("cannot write a.png: Read-only file system"), False),
        (InputError("a.tif: CURL error"), False),
        (TimeoutError("timed out"), True),
        (ConnectionResetError("reset"), True),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (MemoryError(), False),
    ],
)
def test_only_failures_of_the_network_are_tried_again(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


def test_damaged_files_and_refused_options_are_not_tried_again(tmp_path: Path, tiny: str) -> None:
    whole = rasters.write(tmp_path / "a.tif", textured(1, 3, 90, 90), colours=RGB)
    cut, truncated = tmp_path / "cut.tif", tmp_path / "truncated.tif"
    cut.write_bytes(whole.read_bytes()[:100])
    truncated.write_bytes(whole.read_bytes()[:-9000])
    for source, bands, message in (
        (cut, (), "cannot open"),
        (truncated, (), "cannot read"),
        (tmp_path / "none.tif", (), "No such file"),
        (whole, (9,), "bands 1 to 3"),
    ):
        chosen = Options(model=tiny, steps=0, scale=2, bidx=bands)
        out = tmp_path / "out.tif"
        job = Job(number=0, name="a", source=str(source), out=out, options=chosen)
        outcome = upscale_scene(job, lambda *_: None)
        assert (outcome.status, outcome.transient) == ("failed", False)
        assert message in str(outcome.error)


def test_a_model_is_read_again_only_if_its_files_were_replaced(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, each scene read all weights, to compare their checksum."""
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    read: list[str] = []

    def load(model: str) -> zoo.Model:
        read.append(model)
        return load_model(model)

    load_model = zoo.load
    monkeypatch.setattr(zoo, "load", load)
    monkeypatch.setattr(zoo, "checksum", None)
    first = load_once(str(folder))
    assert load_once(str(folder)) is first
    assert len(read) == 1
    weights = folder / "weights.safetensors"
    shutil.copy(weights, tmp_path / "new")
    (tmp_path / "new").replace(weights)
    assert load_once(str(folder)) is not first
    assert len(read) == 2
    weights.unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read"):
        load_once(str(folder))
