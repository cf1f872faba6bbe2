"""A headless Chromium, driven by its DevTools: what a person would see and do."""

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

SIZE = 1200, 1000


class Tab:
    """An open page."""

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
            told = json.loads(await self._connection.read_message() or "{}")
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    async def open(self, address: str) -> None:
        for domain in ("Page", "Network", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=address)
        while await self.value("document.readyState") != "complete":
            await asyncio.sleep(0.05)
        images = "Promise.all([...document.images].filter(i => i.src).map(i => i.decode()))"
        await self.call("Runtime.evaluate", expression=images, awaitPromise=True)

    async def value(self, expression: str) -> Any:
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return told["result"].get("value")

    async def mouse(self, kind: str, x: float, y: float) -> None:
        await self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )

    async def picture(self) -> npt.NDArray[np.uint8]:
        """What is seen, (y, x, 3)."""
        told = await self.call("Page.captureScreenshot")
        shown = Image.open(io.BytesIO(base64.b64decode(told["data"])))
        return np.asarray(shown.convert("RGB"))


def browse(address: str, profile: Path, visit: Callable[[Tab], Awaitable[None]]) -> None:
    """Open a page and visit it; the test is skipped where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not on PATH; on Debian: apt-get install chromium")
    process = subprocess.Popen(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0",
            f"--window-size={SIZE[0]},{SIZE[1]}", f"--user-data-dir={profile}", "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        asyncio.run(_visit(_tab_of(profile), address, visit))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _tab_of(profile: Path) -> str:
    """The address of the first tab, once the browser has told its port."""
    told = profile / "DevToolsActivePort"
    for _ in range(600):
        if told.exists() and told.read_text("utf-8").strip():
            break
        time.sleep(0.05)
    port = told.read_text("utf-8").split()[0]
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
        # The socket is closed once the browser has answered; left open, some later test would be
        # told of it, and fail.
        while await connection.read_message() is not None:
            pass
