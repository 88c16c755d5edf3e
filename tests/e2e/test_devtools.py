# SPDX-License-Identifier: GPL-3.0-or-later
# test_devtools - a HAR file in the developer tools of Chromium: their own code imports it.

import json

from e2e.scenario import only
from peers import chromium, nginx, web

# As their "Import HAR file" does; then of each request what their list has columns for.
IMPORT = """
(async () => {
  const har = await import('devtools://devtools/bundled/models/har/har.js');
  const root = new har.HARFormat.HARRoot(JSON.parse(%s));
  const requests = har.Importer.Importer.requestsFromHARLog(root.log);
  return Promise.all(requests.map(async r => {
    const content = await r.requestContentData();
    return {url: r.url(), method: r.requestMethod, status: r.statusCode, text: r.statusText, mime: r.mimeType ?? '',
            type: r.resourceType().name(), protocol: r.protocol, size: r.resourceSize, start: r.startTime, end: r.endTime,
            received: r.responseReceivedTime, finished: r.finished, failed: r.failed, address: r.remoteAddress(),
            posted: await r.requestFormData(), headers: r.responseHeaders.length,
            cookies: r.responseCookies.map(c => c.name() + '=' + c.value()),
            body: content.isTextContent === undefined ? 'error: ' + content.error : content.isTextContent ? content.text : 'base64: ' + content.base64};
  }));
})()
"""


@only("root", limit=90)
def test_import(t):
    """Requests, statuses, types, times, bodies: of HTTP/2 and HTTP/1.1, text, binary, compressed, redirected, empty."""
    t.only_apptap()
    t.need("curl")
    browser = t.keep(chromium.start(t))
    t.keep(nginx.serve(t))
    url = t.keep(web.serve(t, tls=True))
    path = f"{t.home}/out.har"
    paths = ["text", "binary", "gzip", "moved", "empty", "cookies", "chunked"]
    t.tap(["sh", "-c", 'curl -4sS -d a=b https://localhost/posted https://localhost/none; curl -4sS --http1.1 "$@"', "sh",
           *[word for p in paths for word in (f"{url}/{p}", "-o", "/dev/null")]], options=["--har", path]).ok()
    with open(path) as file:
        text = file.read()
    session = browser.open(chromium.DEVTOOLS)
    found = browser.evaluate(session, IMPORT % json.dumps(text))
    t.show(*[f"{r['status']} {r['method']} {r['url']} {r['type']} {r['mime']} {r['protocol']} {r['size']} B" for r in found[:3]])
    plain = web.TEXT.decode()
    expected = [("https://localhost/posted", "POST", 200, "text/plain", "hello from 80 over HTTP/1.0\n"),
                ("https://localhost/none", "POST", 404, "text/html", None),
                (f"{url}/text", "GET", 200, "text/plain", plain), (f"{url}/binary", "GET", 200, "application/octet-stream", None),
                (f"{url}/gzip", "GET", 200, "text/plain", plain), (f"{url}/moved", "GET", 302, "", ""),
                (f"{url}/empty", "GET", 204, "", ""), (f"{url}/cookies", "GET", 200, "text/plain", plain),
                (f"{url}/chunked", "GET", 200, "text/plain", plain)]
    t.equal([(r["url"], r["method"], r["status"], r["mime"].split(";")[0]) for r in found], [e[:4] for e in expected], "requests")
    for request, (_, _, _, _, body) in zip(found, expected):
        if body is not None:
            t.equal(request["body"], body, f"body of {request['url']}")
        t.true(request["finished"] and not request.get("failed"), f"state of {request['url']}")
        t.true(request["start"] <= request["received"] <= request["end"] < request["start"] + 30, f"times: {request}")
        t.true(request["headers"] > 0 and request["address"] == "127.0.0.1:" + (request["url"].split("/")[2].partition(":")[2] or "443"), f"headers and address: {request}")
    t.equal([r["protocol"] for r in found[:3]], ["h2", "h2", "http/1.1"], "protocols")
    t.equal([r["type"] for r in found[:2]], ["other", "document"], "types")
    t.equal(found[0]["posted"], "a=b", "what was posted")
    t.equal(found[7]["cookies"], ["id=set-cookie-secret", "theme=dark"], "cookies")
