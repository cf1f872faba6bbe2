"""The page in a browser: what lies on either side of the slider, and what the controls do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from rs_superres.grid import Window
from rs_superres.raster import open_source
from rs_superres.view import ViewOptions, view
from tests import rasters
from tests.evaluation.browser import Tab, browse
from tests.rasters import NORTH_UP, RGB
from tests.view.scenes import write_noise

SIDE = 40
"""Source pixels on a side; red grows by 5 from column to column, green from row to row."""

Visit = Callable[["MapTab"], Awaitable[None]]


class MapTab:
    """A page with its map."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def value(self, expression: str) -> Any:
        """Evaluate an expression, once all that is asked for is drawn."""
        value = await self.tab.value(expression)
        await self.drawn()
        return value

    async def drawn(self) -> None:
        """Wait until nothing is left to draw."""
        for _ in range(400):
            await self.tab.call(
                "Runtime.evaluate",
                expression="new Promise(done => requestAnimationFrame(() => setTimeout(done)))",
                awaitPromise=True,
            )
            if await self.tab.value("document.body.dataset.state") == "ready":
                return
            await asyncio.sleep(0.02)
        pytest.fail("the map was not drawn")

    async def choose(self, name: str, value: str) -> None:
        """Choose an item of a list as a user does."""
        await self.value(
            f"element('{name}').value = '{value}';"
            f"element('{name}').dispatchEvent(new Event('change', {{bubbles: true}}))"
        )

    async def at(self, row: float, column: float) -> list[int]:
        """Return red, green, blue and alpha of the canvas at a place in output pixels."""
        pixel: list[int] = await self.value(
            f"[...context.getImageData(Math.floor(({column} - state.x) * state.zoom), "
            f"Math.floor(({row} - state.y) * state.zoom), 1, 1).data]"
        )
        return pixel


def events(tab: Tab, method: str) -> list[dict[str, Any]]:
    """Return what the browser has reported of a kind."""
    return [event for event in tab.events if event.get("method") == method]


def shown(page: str, folder: Path, visit: Visit) -> None:
    """Open a page from disk, call ``visit``, and check that nothing failed or was loaded."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")

    async def visited(tab: Tab) -> None:
        await tab.call("Log.enable")
        opened = MapTab(tab)
        await opened.drawn()
        await visit(opened)
        requests = [e["params"]["request"] for e in events(tab, "Network.requestWillBeSent")]
        assert [request["url"] for request in requests] == [path.as_uri()]
        assert not events(tab, "Runtime.exceptionThrown")
        entries = [event["params"]["entry"] for event in events(tab, "Log.entryAdded")]
        assert not [entry for entry in entries if entry["level"] == "error"]
        assert await tab.value("document.getElementById('problem').hidden")

    browse(path.as_uri(), folder / "profile", visited)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A source, a result that is brighter by 20 and twice as fine, and its uncertainty."""
    folder = tmp_path_factory.mktemp("pair")
    rows, columns = np.mgrid[:SIDE, :SIDE]
    source = np.stack([5 * columns, 5 * rows, np.full(rows.shape, 100)]).astype(np.uint8)
    source[:, 30:, 30:] = 255
    fine = source.repeat(2, 1).repeat(2, 2)
    fine = np.where(fine == 255, 255, fine + 20).astype(np.uint8)
    half = NORTH_UP @ Affine.scale(0.5)
    error = np.broadcast_to(np.arange(80, dtype=np.float32) / 8, (1, 80, 80))
    return (
        rasters.write(folder / "out.tif", fine, colours=RGB, transform=half, nodata=255),
        rasters.write(folder / "source.tif", source, colours=RGB, nodata=255),
        rasters.write(folder / "error.tif", error, transform=half),
    )


@pytest.fixture(scope="module")
def page(pair: tuple[Path, Path, Path]) -> str:
    out, source, error = map(str, pair)
    return view(out, source, ViewOptions(uncertainty=error)).html


def test_both_sides_of_the_slider(page: str, tmp_path: Path) -> None:
    async def visit(map_tab: MapTab) -> None:
        # The middle of output row 21 and column 31: of source row 10 and column 15.
        for split, brighter in ((1, 0), (0, 20)):
            await map_tab.value(f"slide({split})")
            assert await map_tab.at(21.5, 31.5) == [
                75 + brighter,
                50 + brighter,
                100 + brighter,
                255,
            ]
        await map_tab.value("slide(0.5)")
        left, right = await map_tab.at(21.5, 31.5), await map_tab.at(21.5, 49.5)
        assert left == [75, 50, 100, 255]
        assert right == [5 * 24 + 20, 70, 120, 255]
        tags = "[element('left-tag').textContent, element('right-tag').textContent].join()"
        assert await map_tab.value(tags) == "source,result"
        # Nodata is transparent on both sides.
        for split in (0, 1):
            await map_tab.value(f"slide({split})")
            assert (await map_tab.at(70, 70))[3] == 0
        # Dragging the handle moves the border.
        await map_tab.value("slide(0.5)")
        box = await map_tab.value("(({left, top, width, height}) => [left, top, width, height])"
                                  "(frame.getBoundingClientRect())")  # fmt: skip
        y = box[1] + box[3] / 2
        await map_tab.tab.mouse("mousePressed", box[0] + box[2] / 2, y)
        await map_tab.tab.mouse("mouseMoved", box[0] + box[2] / 4, y)
        await map_tab.tab.mouse("mouseReleased", box[0] + box[2] / 4, y)
        assert await map_tab.value("state.split") == pytest.approx(0.25, abs=0.01)
        assert await map_tab.value("handle.getAttribute('aria-valuenow')") == "25"
        await map_tab.value("handle.focus()")
        await press(map_tab, "End")
        assert await map_tab.value("state.split") == 1
        await map_tab.value("canvas.focus()")
        await press(map_tab, "s")
        assert await map_tab.value(tags) == "result,source"
        assert await map_tab.at(21.5, 31.5) == [95, 70, 120, 255]

    shown(page, tmp_path, visit)


async def press(map_tab: MapTab, key: str) -> None:
    """Press and release a key."""
    for kind in ("keyDown", "keyUp"):
        await map_tab.tab.call("Input.dispatchKeyEvent", type=kind, key=key)
    await map_tab.drawn()


def test_pixels_are_crisp_and_lie_where_they_belong(page: str, tmp_path: Path) -> None:
    async def visit(map_tab: MapTab) -> None:
        await map_tab.value("moveTo(32, 22, 40); slide(1)")
        # A pixel of the source covers two of the result: red steps at even columns only.
        for columns, red in ((range(30, 32), 75), (range(32, 34), 80)):
            for column in columns:
                for offset in (0.02, 0.5, 0.98):
                    pixel = await map_tab.at(21.5, column + offset)
                    assert pixel == [red, 50, 100, 255], (column, offset)
        await map_tab.value("slide(0)")
        assert (await map_tab.at(20.02, 31.98))[:2] == [95, 70]
        assert (await map_tab.at(19.98, 32.02))[:2] == [100, 65]
        # The value under a point, and its place on the map.
        await map_tab.value("read((33 - state.x) * state.zoom, (21.5 - state.y) * state.zoom)")
        words = await map_tab.value("element('readout').textContent")
        assert words == (
            "column 33, row 21 · 500165, 5399892.5 (EPSG:32633) · source 80 50 100 "
            "· result 100 70 120"
        )

    shown(page, tmp_path, visit)


def test_layers_bands_and_stretches(page: str, tmp_path: Path) -> None:
    async def visit(map_tab: MapTab) -> None:
        await map_tab.value("slide(0)")
        # Cubic convolution of a ramp is the ramp: 5 a source pixel, 2.5 an output pixel.
        await map_tab.choose("right", "cubic")
        assert (await map_tab.at(21.5, 31.5))[0] == pytest.approx(76.25, abs=0.8)
        await map_tab.choose("right", "difference")
        words = await map_tab.value("element('legend').textContent")
        most = float(words.split()[-1])
        pixel = await map_tab.at(21.5, 31.5)
        assert pixel[2] == pytest.approx(127.5 + 127.5 * 20 / most, abs=1)
        await map_tab.choose("right", "uncertainty")
        assert "uncertainty: 0 to" in await map_tab.value("element('legend').textContent")
        dark, light = await map_tab.at(21.5, 1.5), await map_tab.at(21.5, 79.5)
        assert sum(dark[:3]) < 60
        assert sum(light[:3]) > 600
        await map_tab.choose("right", "result")
        await map_tab.choose("bands", "1")
        assert await map_tab.at(21.5, 31.5) == [70, 70, 70, 255]
        await map_tab.choose("bands", "three")
        await map_tab.choose("red", "2")
        await map_tab.choose("blue", "0")
        assert await map_tab.at(21.5, 31.5) == [120, 70, 95, 255]
        await map_tab.choose("bands", "rgb")
        await map_tab.choose("stretch", "custom")
        await map_tab.value(
            "element('low').value = 45; element('high').value = 95; chooseStretch()"
        )
        assert await map_tab.at(21.5, 31.5) == pytest.approx([255, 127.5, 255, 255], abs=1)
        # All valid values of the source lie between 0 and 195.
        await map_tab.choose("stretch", "full")
        assert await map_tab.at(21.5, 31.5) == [round(v * 255 / 195) for v in (95, 70, 120)] + [255]

    shown(page, tmp_path, visit)


def test_zoom_and_movement(page: str, tmp_path: Path) -> None:
    async def visit(map_tab: MapTab) -> None:
        place = "[state.x, state.y, state.zoom].map(v => Math.round(v * 1e3) / 1e3)"
        x, y, zoom = await map_tab.value(place)
        box = await map_tab.value("((b) => [b.left, b.top])(canvas.getBoundingClientRect())")
        px, py = 300, 200
        under = x + px / zoom, y + py / zoom
        await map_tab.tab.call("Input.dispatchMouseEvent", type="mouseWheel", x=box[0] + px,
                               y=box[1] + py, deltaX=0, deltaY=-400)  # fmt: skip
        await map_tab.drawn()
        x2, y2, zoom2 = await map_tab.value(place)
        assert zoom2 > 1.5 * zoom
        assert (x2 + px / zoom2, y2 + py / zoom2) == pytest.approx(under, abs=0.1)
        await map_tab.tab.mouse("mousePressed", box[0] + px, box[1] + py)
        await map_tab.tab.mouse("mouseMoved", box[0] + px - 60, box[1] + py + 30)
        await map_tab.tab.mouse("mouseReleased", box[0] + px - 60, box[1] + py + 30)
        x3, y3, _ = await map_tab.value(place)
        assert (x3 - x2, y3 - y2) == pytest.approx((60 / zoom2, -30 / zoom2), abs=0.05)
        await map_tab.value("canvas.focus()")
        await press(map_tab, "1")
        assert (await map_tab.value(place))[2] == 1
        await press(map_tab, "+")
        assert (await map_tab.value(place))[2] == 1.5
        await press(map_tab, "0")
        assert await map_tab.value(place) == [x, y, zoom]
        await map_tab.value("for (let i = 0; i < 40; i++) zoomAt(2)")
        assert (await map_tab.value(place))[2] == 80
        # A pinch: two fingers move apart from 100 to 200 pixels.
        await press(map_tab, "1")
        for kind, spread in (("touchStart", 50), ("touchMove", 75), ("touchMove", 100)):
            points = [{"x": box[0] + 300 + s * spread, "y": box[1] + 200, "id": i}
                      for i, s in enumerate((-1, 1))]  # fmt: skip
            await map_tab.tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        await map_tab.tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        assert (await map_tab.value(place))[2] == pytest.approx(2, abs=0.05)

    shown(page, tmp_path, visit)


def test_parts_of_a_large_result(tmp_path: Path) -> None:
    """Parts show every pixel, the map around them is an overview, and both fit together."""
    out, source = write_noise(tmp_path, 600)
    built = view(str(out), source, ViewOptions(max_size=3_000_000, verify=False))
    overview, part, *_ = built.parts
    with open_source(out) as opened:
        pixels = opened.read(part.window)[0]

    async def visit(map_tab: MapTab) -> None:
        names = await map_tab.value("[...element('parts').children].map(b => b.textContent).join()")
        assert names == "Overview,Part 1,Part 2,Part 3,Part 4"
        await map_tab.value("element('parts').children[1].click(); slide(0)")
        await map_tab.value(f"moveTo({part.window.column + 9}, {part.window.row + 9}, 20)")
        for row, column in ((4, 4), (9, 12)):
            pixel = await map_tab.at(part.window.row + row + 0.5, part.window.column + column + 0.5)
            assert pixel[:3] == pixels[:, row, column].tolist()
        outside = await map_tab.at(part.window.row - 5, part.window.column + 5)
        assert outside[3] == 255
        await map_tab.choose("right", "difference")  # which an overview does not have
        assert (await map_tab.at(part.window.row + 5.5, part.window.column + 5.5))[3] == 255
        assert (await map_tab.at(part.window.row - 5, part.window.column + 5))[3] == 0

    assert overview.overview is not None
    shown(built.html, tmp_path, visit)


def test_a_part_that_cuts_pixels_of_the_source(tmp_path: Path) -> None:
    """They lie where they lie, end with the part, and holes show no overview below them."""
    rows, columns = np.mgrid[:40, :40]
    source = np.stack([5 * columns, 5 * rows, np.full(rows.shape, 100)]).astype(np.uint8)
    fine = source.repeat(4, 1).repeat(4, 2)
    fine[:, 70, 73] = 255  # a hole that the overview does not show
    quarter = NORTH_UP @ Affine.scale(0.25)
    out = rasters.write(tmp_path / "o.tif", fine, colours=RGB, transform=quarter, nodata=255)
    scene = rasters.write(tmp_path / "s.tif", source, colours=RGB)
    # Output rows 66 to 86 and columns 71 to 91; a pixel of the source covers 68 to 72.
    left, top = NORTH_UP.c + 2.5 * 71, NORTH_UP.f - 2.5 * 66
    bounds = (left, top - 50, left + 50, top)
    built = view(str(out), scene, ViewOptions(bounds=(bounds,), verify=False))
    assert built.parts[1].window == Window(66, 71, 20, 20)

    async def visit(map_tab: MapTab) -> None:
        # The overview red, so that it differs from the part, which is as it is.
        await map_tab.value(
            "pictures.set('0 source', solid('red')); pictures.set('0 result', solid('red'));"
            "function solid(colour) { const c = document.createElement('canvas');"
            "[c.width, c.height] = [1, 1]; const p = c.getContext('2d'); p.fillStyle = colour;"
            "p.fillRect(0, 0, 1, 1); return c; }"
            "moveTo(76, 71, 20); slide(1)"
        )
        for column, red in ((71.5, 85), (72.5, 90), (75.5, 90), (76.5, 95)):
            assert await map_tab.at(70.5, column) == [red, 85, 100, 255]
        assert await map_tab.at(70.5, 69.5) == [255, 0, 0, 255]
        assert await map_tab.at(64.5, 75.5) == [255, 0, 0, 255]
        await map_tab.value("slide(0)")
        assert (await map_tab.at(70.5, 73.5))[3] == 0
        assert (await map_tab.at(70.5, 74.5)) == [90, 85, 100, 255]

    shown(built.html, tmp_path, visit)


def test_it_fits_a_phone_and_both_themes(page: str, tmp_path: Path) -> None:
    async def visit(map_tab: MapTab) -> None:
        backgrounds = set()
        for theme in ("light", "dark"):
            await map_tab.tab.call(
                "Emulation.setDeviceMetricsOverride",
                width=360, height=740, deviceScaleFactor=3, mobile=True,
            )  # fmt: skip
            media = [{"name": "prefers-color-scheme", "value": theme}]
            await map_tab.tab.call("Emulation.setEmulatedMedia", features=media)
            await map_tab.drawn()
            assert await map_tab.value("document.documentElement.scrollWidth") == 360
            # A pixel of the canvas for each of the screen's.
            assert await map_tab.value("canvas.width / canvas.clientWidth") == pytest.approx(
                3, abs=0.02
            )
            assert await map_tab.value("frame.getBoundingClientRect().bottom") < 740
            backgrounds.add(await map_tab.value("getComputedStyle(document.body).backgroundColor"))
        assert len(backgrounds) == 2

    shown(page, tmp_path, visit)


def test_the_policy_blocks_foreign_code(page: str, tmp_path: Path) -> None:
    """A script that came into the page, for example by a tag, would neither run nor send."""
    evil = (
        "<script>document.body.dataset.ran = 'yes'</script>"
        "<img src='x' onerror=\"document.body.dataset.ran = 'yes'\">"
        "<img src='http://127.0.0.1:9/x.png'>"
    )
    assert "</main>" in page
    path = tmp_path / "page.html"
    path.write_text(page.replace("</main>", f"</main>{evil}"), encoding="utf-8")

    async def visit(tab: Tab) -> None:
        await MapTab(tab).drawn()
        assert await tab.value("document.body.dataset.ran") is None
        fetched = await tab.call(
            "Runtime.evaluate",
            expression="fetch('http://127.0.0.1:9/').then(() => 'sent', e => String(e))",
            awaitPromise=True,
            returnByValue=True,
        )
        assert "Failed to fetch" in fetched["result"]["value"]
        received = [e["params"]["response"]["url"] for e in events(tab, "Network.responseReceived")]
        assert received == [path.as_uri()]
        blocked = [e["params"].get("blockedReason") for e in events(tab, "Network.loadingFailed")]
        assert set(blocked) == {"csp"}

    browse(path.as_uri(), tmp_path / "profile", visit)
