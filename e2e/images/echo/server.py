"""Answer every GET with this pod's name; ?fetch=URL answers with what that address says."""

import http.server
import socket
import urllib.parse
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Answer with the pod's name, or with the answer of another server."""
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        body = socket.gethostname().encode()
        if "fetch" in query:
            with urllib.request.urlopen(query["fetch"][0], timeout=5) as response:  # noqa: S310 - a test asks
                body = response.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
