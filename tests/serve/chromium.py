"""A headless Chromium of this machine, driven by its DevTools protocol over a pipe; no library between."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", "--disable-dev-shm-usage")
PATIENCE = 120  # seconds


def found():
    """The program, or None."""
    cache = Path.home() / ".cache" / "ms-playwright"
    inside = (str(path) for name in ("chrome", "headless_shell", "chrome-headless-shell") for path in sorted(cache.glob(f"*/*/{name}")))
    return next((path for path in (*map(shutil.which, NAMES), *inside) if path), None)


class Page:
    """One tab. `complaints` are what its console says of errors."""

    def __init__(self, to, back):
        self._to, self._back, self._numbers, self._rest, self._session = to, back, count(1), b"", None
        self.complaints = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        """One command of the protocol, and what it returns."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": self._session} if self._session else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != number:
            if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.complaints.append(said["params"]["entry"]["text"])
            elif said.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(said["params"]["exceptionDetails"]["text"])
        assert "error" not in said, said
        return said["result"]

    def _next(self):
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], max(0, until - time.monotonic()))
            assert ready, "Chromium says nothing"
            self._rest += os.read(self._back, 1 << 20)
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def value(self, expression):
        """What a JavaScript expression is on the page."""
        return self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")

    def wait_for(self, expression):
        """Wait until a JavaScript expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < until, f"{expression} is never true; the page: {self.value('document.body.innerText')}"
            time.sleep(0.05)

    def choose(self, selector, files):
        """Choose files, as a person does in the dialogue of an <input>."""
        root = self("DOM.getDocument")["root"]["nodeId"]
        node = self("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def shoot(self, path, width=1200, height=900):
        """A picture of the page."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def opened(url, folder):
    """A tab that shows `url`; `folder` is the browser's own."""
    pipes = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for pair in (os.pipe(), os.pipe()) for end in pair]
    theirs_in, to, back, theirs_out = pipes

    def connect():  # the browser reads from 3 and writes to 4
        os.dup2(theirs_in, 3)
        os.dup2(theirs_out, 4)

    command = [found(), *OPTIONS, f"--user-data-dir={folder}"]
    process = subprocess.Popen(command, preexec_fn=connect, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = Page(to, back)
        page("Page.navigate", url=url)
        yield page
    finally:
        process.kill()
        process.wait()
        for pipe in pipes:
            os.close(pipe)
