#!/usr/bin/env python3
"""A stand-in for the APIs of OpenAI, Anthropic and Google. It is none of the gateway's code, and needs Python only.

A model's name chooses what it answers:

  text, reasoning, one_tool, …   the transcript of that name
  image                          text, where the image came
  cut_N                          text, but the connection ends after N bytes
  error                          a stream that ends with an error's event
  status_N                       the error of that HTTP status
  agent                          a model that works with tools, see agent.py
  agent_without_ids              the same, but Google's calls have no ids, as they may

What a provider would refuse is refused: an unknown field, a result without its call, a changed signature, another key
than PROVIDER_KEY. It listens on a free port of 127.0.0.1, says which on its first line of output, and leaves when its
input ends, so that it never outlives who started it.
"""

import http.server
import json
import os
import re
import sys
import threading
import urllib.parse

import agent
import anthropic_api
import gemini_api
import openai_api
import transcripts
from asked import Refused

APIS = (openai_api, anthropic_api, gemini_api)
KEY = os.environ.get("PROVIDER_KEY", "provider-key")
GATEWAY_KEY = re.compile(r"sp_[0-9a-f]{64}")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        for api in APIS:
            if path := api.PATH.fullmatch(url.path):
                try:
                    self.answer(api, path, urllib.parse.parse_qs(url.query), body)
                except Refused as refused:
                    self.send_json(refused.status, api.error(refused.status, str(refused)))
                except (KeyError, TypeError, ValueError) as malformed:
                    self.send_json(400, api.error(400, f"the request is malformed: {malformed!r}"))
                return
        self.send_json(404, {"error": {"message": f"nothing is at {url.path}"}})

    def answer(self, api, path: re.Match, query: dict, body: bytes):
        if api.credential(self.headers) != KEY:
            raise Refused("the key is not valid", 401)
        if GATEWAY_KEY.search(f"{self.path}\n{self.headers}"):
            raise Refused("a key of the gateway's came along", 401)
        asked = api.read(path, query, self.headers, json.loads(body))
        if m := re.fullmatch(r"status_(\d+)", asked.model):
            raise Refused(f"this is a {m[1]}", int(m[1]))
        if asked.model in ("agent", "agent_without_ids"):
            turn = agent.next_turn(asked)
            if asked.stream:
                self.send_events("".join(api.events(asked, turn)).encode())
            else:
                self.send_json(200, api.whole(asked, turn))
            return
        transcripts.check(asked)
        recorded, cut = transcripts.transcript(api.NAME, asked)
        if asked.stream:
            self.send_events(recorded, cut)
        else:
            self.send_whole(200, recorded, cut)

    def send_json(self, status: int, value: dict):
        self.send_whole(status, json.dumps(value, ensure_ascii=False).encode())

    def send_whole(self, status: int, body: bytes, cut: int | None = None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None

    def send_events(self, stream: bytes, cut: int | None = None):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in re.findall(rb".+?\r?\n\r?\n|.+\Z", stream[:cut], re.DOTALL):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        if cut is None:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = cut is not None

    def log_message(self, *_):
        """Whoever asked is told what was wrong, so that there is no log."""


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
