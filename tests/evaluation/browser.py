"""Control a headless Chromium by its DevTools, to use a page as a person does."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tornado.websocket import WebSocketClientConnection, websocket_connect

WINDOW_SIZE = 1200, 1000


class Tab:
    """An open page, controlled by messages over a web socket."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._connection.write_message(
            json.dumps({"id": number, "method": method, "params": params})
        )
        while True:
            message = json.loads(await self._connection.read_message() or "{}")
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    async def open(self, address: str) -> None:
        for domain in ("Page", "Network", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=address)
        while await self.value("document.readyState") != "complete":
            await asyncio.sleep(0.05)
        images = "Promise.all([...document.images].filter(i => i.src).map(i => i.decode()))"
        await self.call("Runtime.evaluate", expression=images, awaitPromise=True)

    async def value(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def mouse(self, kind: str, x: float, y: float) -> None:
        await self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )

    async def picture(self) -> npt.NDArray[np.uint8]:
        """Take a screenshot, (y, x, 3)."""
        answer = await self.call("Page.captureScreenshot")
        screenshot = Image.open(io.BytesIO(base64.b64decode(answer["data"])))
        return np.asarray(screenshot.convert("RGB"))


def browse(address: str, profile: Path, visit: Callable[[Tab], Awaitable[None]]) -> None:
    """Open a page and call ``visit`` with it; the test is skipped without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not on PATH; on Debian: apt-get install chromium")
    process = subprocess.Popen(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--window-size={WINDOW_SIZE[0]},{WINDOW_SIZE[1]}",
            f"--user-data-dir={profile}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asyncio.run(_visit(_tab_of(profile), address, visit))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _tab_of(profile: Path) -> str:
    """Return the address of the first tab, once the browser has written its port."""
    port_file = profile / "DevToolsActivePort"
    for _ in range(600):
        if port_file.exists() and port_file.read_text("utf-8").strip():
            break
        time.sleep(0.05)
    port = port_file.read_text("utf-8").split()[0]
    with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
        tabs = json.load(answer)
    return next(str(t["webSocketDebuggerUrl"]) for t in tabs if t["type"] == "page")


async def _visit(tab: str, address: str, visit: Callable[[Tab], Awaitable[None]]) -> None:
    connection = await websocket_connect(tab, max_message_size=2**28)
    try:
        page = Tab(connection)
        await page.open(address)
        await visit(page)
    finally:
        connection.close()
        # Wait until the socket is closed: an open one causes a warning that fails a later test.
        while await connection.read_message() is not None:
            pass
