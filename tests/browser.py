"""Headless Chromium over its DevTools protocol: real keys, real clicks, and everything it asked for.

A client of 150 lines on websockets, which the lock file holds anyway, instead of a driver package: Playwright's wheel
brings 120 MB and a Chromium of its own, Selenium a second binary of just the browser's version.
"""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # of root, in a container
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--lang=en-GB",
    "--remote-debugging-port=0",
)
KEYS = {
    "Enter": ("\r", 13),
    "Tab": ("", 9),
    "Escape": ("", 27),
    "ArrowRight": ("", 39),
    "ArrowLeft": ("", 37),
    " ": (" ", 32),
}
PATIENCE = 20.0


def find_browser() -> str | None:
    """FOUND_BROWSER, else the first Chromium on PATH."""
    return os.environ.get("FOUND_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


def downloaded(folder: Path) -> Path:
    """The first whole CSV file that comes into the folder."""
    until = time.monotonic() + 20
    while not (files := list(folder.glob("*.csv"))):
        assert time.monotonic() < until, "nothing was downloaded"
        time.sleep(0.05)
    return files[0]


class Page:
    """One tab. `requests` are the addresses it asked for, `complaints` what its console and scripts complained of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._sent = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **given: Any) -> dict[str, Any]:
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": given}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == self._sent:
                assert "error" not in message, (method, message["error"])
                return dict(message["result"])
            self._heard(message.get("method", ""), message.get("params", {}))

    def _heard(self, event: str, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif event == "Log.entryAdded" and told["entry"]["source"] in ("security", "javascript", "violation"):
            self.complaints.append(told["entry"]["text"])

    def run(self, script: str) -> Any:
        """The value of an expression."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (script, found["exceptionDetails"])
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = PATIENCE) -> Any:
        """The first true value of an expression."""
        until = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"never true: {script}\n{self.text()[:3000]}\n{self.complaints}"
            time.sleep(0.05)
        return found

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def text(self, selector: str = "body") -> str:
        return str(self.run(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def see(self, words: str, selector: str = "body") -> str:
        """The text of an element, once it holds these words."""
        self.wait(f"(document.querySelector({selector!r})?.innerText ?? '').includes({words!r})")
        return self.text(selector)

    def focus(self, selector: str) -> None:
        self.wait(f"document.querySelector({selector!r}) !== null")
        self.run(f"document.querySelector({selector!r}).focus()")

    def click(self, selector: str) -> None:
        box = (
            "(() => {{ const found = document.querySelector({0!r}); if (!found) return null; "
            "found.scrollIntoView({{block: 'center'}}); const box = found.getBoundingClientRect(); "
            "return box.width && {{x: box.x + box.width / 2, y: box.y + box.height / 2}}; }})()"
        )
        at = self.wait(box.format(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, **at, button="left", clickCount=1)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def write(self, selector: str, text: str) -> None:
        """The text in place of what a field held."""
        self.focus(selector)
        self.run("document.activeElement.select()")
        self.type(text)

    def press(self, key: str, times: int = 1) -> None:
        text, code = KEYS[key]
        for _ in range(times):
            given = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
            self.send("Input.dispatchKeyEvent", type="keyUp", **given)

    def upload(self, selector: str, file: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def downloads(self, folder: Path) -> None:
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def look(self, width: int, height: int = 900, *, scale: float = 1, dark: bool = False) -> None:
        """The size of the window, and the scheme of colours."""
        phone = width < 600
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, file: Path, *, height: int = 0) -> None:
        """The page from its top, all of it where no height is given."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        taken = self.send("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def chromium(executable: str, profile: Path) -> Iterator[Page]:
    """A tab of a browser of its own; the browser ends with it."""
    command = [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    port_file = profile / "DevToolsActivePort"
    with (profile.parent / "chromium.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert process.poll() is None and time.monotonic() < until, (profile.parent / "chromium.log").read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json") as answer:
            (tab,) = [each for each in json.load(answer) if each["type"] == "page"]
        with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
