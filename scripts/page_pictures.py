"""Pictures of the page for docs/page: `python scripts/page_pictures.py URL DEMAND`, of a server that runs.

Saves an audience of the demand, so that the page of one can be shown, and deletes it again.
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "page"
sys.path.insert(0, str(ROOT / "tests"))

from browser import Page, chromium, find_browser  # noqa: E402

DESKTOP, PHONE = (1280, 1560), (390, 1500)
SLOW = 120.0


def main(url: str, demand: str) -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("no Chromium on this machine")
    FOLDER.mkdir(exist_ok=True)
    audience = asked("POST", f"{url}/v1/audiences", {"name": "Newborn, August", "demand": demand, "size": 200})
    try:
        with tempfile.TemporaryDirectory() as folder, chromium(executable, Path(folder) / "profile") as page:
            look(page, url, demand, str(audience["id"]))
    finally:
        asked("DELETE", f"{url}/v1/audiences/{audience['id']}")


def look(page: Page, url: str, demand: str, audience: str) -> None:
    page.look(*DESKTOP)
    page.open(url)
    page.see("This lake suggests")
    page.write("#demand", demand)
    page.press("Enter")
    page.wait("document.querySelector('.map .lit') !== null", SLOW)
    picture(page, "ask", DESKTOP)
    page.look(*PHONE)
    picture(page, "ask-phone", PHONE)
    page.look(*DESKTOP, dark=True)
    page.run(f"location.hash = '#/audiences/{audience}'")
    page.wait(
        "document.querySelector('#audience .map .lit') && document.querySelector('#audience .reasons') !== null", SLOW
    )
    picture(page, "audience-dark", DESKTOP)


def picture(page: Page, name: str, size: tuple[int, int]) -> None:
    page.wait(f"document.querySelector('.chart svg') === null || document.documentElement.clientWidth === {size[0]}")
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.run("document.activeElement.blur()")
    file = FOLDER / f"{name}.png"
    page.picture(file, height=size[1])
    Image.open(file).convert("RGB").quantize(128).save(file, optimize=True)


def asked(method: str, url: str, body: Any = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SLOW) as answer:
        return dict(json.load(answer))


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2])
