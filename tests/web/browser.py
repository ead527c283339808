"""A real headless Chromium, driven over its DevTools protocol: keys and the mouse as a person uses them."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--disable-dev-shm-usage", "--disable-extensions",
)  # fmt: skip
WAIT_S = 60  # machines that test may be crowded
_SPECIAL = {"Enter": (13, "\r"), "Backspace": (8, ""), "Escape": (27, ""), "Delete": (46, ""), " ": (32, " ")}


class Chromium:
    """One browser process; every page has cookies of its own, as if it were another person's machine."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self._log = (profile.parent / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"], stdout=subprocess.DEVNULL, stderr=self._log
        )
        told = profile / "DevToolsActivePort"
        wait_for(lambda: told.exists() and len(told.read_text().splitlines()) == 2, "the browser does not start")
        self._port, path = told.read_text().splitlines()
        self._socket = _connect(f"ws://127.0.0.1:{self._port}{path}")
        self._sockets = [self._socket]

    def open(self, url: str, width: int = 1280, height: int = 800) -> Page:
        context = self._socket.call("Target.createBrowserContext")["browserContextId"]
        target = self._socket.call("Target.createTarget", url="about:blank", browserContextId=context,
                                   width=width, height=height)["targetId"]  # fmt: skip
        self._sockets.append(_connect(f"ws://127.0.0.1:{self._port}/devtools/page/{target}"))
        page = Page(self._sockets[-1])
        page.resize(width, height)
        page.go(url)
        return page

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._log.close()


class Page:
    """A tab. console: what scripts, or the security policy, complained of."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._c.call(f"{domain}.enable")

    def go(self, url: str) -> None:
        self._c.call("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        self._c.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def run(self, code: str) -> Any:
        """Return what the JavaScript expression gives."""
        got = self._c.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def wait(self, code: str, what: str = "") -> None:
        def true() -> bool:
            try:
                return bool(self.run(code))
            except AssertionError:  # between two documents
                return False

        wait_for(true, f"never true: {what or code}; console: {self.console}")

    def press(self, key: str) -> None:
        number, text = _SPECIAL[key] if key in _SPECIAL else (ord(key.upper()), key)
        told = {"key": key, "windowsVirtualKeyCode": number, **({"text": text} if text else {})}
        self._c.call("Input.dispatchKeyEvent", type="keyDown", **told)
        self._c.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def type(self, text: str) -> None:
        self._c.call("Input.insertText", text=text)

    def mouse(self, kind: str, x: float, y: float, clicks: int = 0) -> None:
        held = (
            {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1} if clicks or kind == "mouseMoved" else {}
        )
        self._c.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=clicks, **held)

    def click(self, x: float, y: float, clicks: int = 1) -> None:
        self.mouse("mousePressed", x, y, clicks)
        self.mouse("mouseReleased", x, y, clicks)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.mouse("mousePressed", *start, clicks=1)
        self.mouse("mouseMoved", (start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.mouse("mouseMoved", *end)
        self.mouse("mouseReleased", *end, clicks=1)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._c.call("Page.captureScreenshot", format="png")["data"]))

    @property
    def console(self) -> list[str]:
        self._c.call("Runtime.evaluate", expression="0")  # collects what has happened until now
        return list(self._c.complaints)


class Connection:
    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._connection.recv())
            self._note(told)
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                return dict(told["result"])

    def _note(self, told: dict[str, Any]) -> None:
        if told.get("method") == "Log.entryAdded":
            self.complaints.append(told["params"]["entry"]["text"])
        elif told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["params"]["exceptionDetails"])[:500])
        elif told.get("method") == "Runtime.consoleAPICalled" and told["params"]["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(told["params"]["args"])[:500])

    def close(self) -> None:
        self._connection.close()


def _connect(url: str) -> Connection:
    return Connection(websocket.create_connection(url, timeout=WAIT_S, suppress_origin=True))


def wait_for(true: Callable[[], bool], complaint: str, seconds: float = WAIT_S) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    browser = Chromium(folder / "profile")
    try:
        yield browser
    finally:
        browser.close()
