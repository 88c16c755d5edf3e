# SPDX-License-Identifier: GPL-3.0-or-later
# chromium - a headless one, told what to do over a pipe of its own (the DevTools protocol).

import contextlib
import json
import os
import shutil
import subprocess

DEVTOOLS = "devtools://devtools/bundled/devtools_app.html"
LIMIT = 60


class Chromium:
    """Requests go to its descriptor 3, answers and events come from 4; a zero byte ends each."""

    def __init__(self, folder):
        requests, self.to = os.pipe()
        self.answers, answering = os.pipe()

        def hand_over():
            for fd in os.dup(requests), os.dup(answering):
                os.set_inheritable(fd, True)
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate((requests, answering))]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
        self.process = subprocess.Popen(
            ["timeout", str(LIMIT), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={folder}", "about:blank"], preexec_fn=hand_over, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(requests)
        os.close(answering)
        self.number, self.heard, self.news = 0, b"", []

    def next(self):
        while b"\0" not in self.heard:
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise AssertionError("chromium has ended")
            self.heard += piece
        one, _, self.heard = self.heard.partition(b"\0")
        return json.loads(one)

    def call(self, method, session=None, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        text = memoryview(json.dumps(request).encode() + b"\0")
        while text:
            text = text[os.write(self.to, text):]
        while (answer := self.next()).get("id") != self.number:
            self.news.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, url):
        """A page's session, once it has loaded."""
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.call("Page.enable", session)
        self.news.clear()
        self.call("Page.navigate", session, url=url)
        while not any(n.get("method") == "Page.loadEventFired" for n in self.news):
            self.news.append(self.next())
        return session

    def evaluate(self, session, expression):
        """What the promise comes to."""
        answer = self.call("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"]["value"]

    def close(self):
        os.close(self.to)
        self.process.terminate()
        self.process.wait()
        os.close(self.answers)


@contextlib.contextmanager
def start(t):
    t.need("chromium")
    browser = Chromium(f"{t.folder}/chromium")
    try:
        yield browser
    finally:
        browser.close()
        shutil.rmtree(f"{t.folder}/chromium", ignore_errors=True)
