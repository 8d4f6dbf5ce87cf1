"""Stands in for an account at OpenAI that has images, audio, moderations and files: it answers in OpenAI's wire format."""

import contextlib
import email.parser
import email.policy
import http.server
import json
import threading
import time

KEY = "studio-key"
SOUND = bytes(range(256)) * 400
IMAGE = "aW1hZ2U="
TEXT = "heard"


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Reads a form with the standard library's parser of messages."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in message.iter_parts()}


class Studio(http.server.ThreadingHTTPServer):
    """A running studio, and what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict]] = []
        self.files: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"]
        fields = read_form(kind, body) if kind.startswith("multipart/") else json.loads(body)
        path = self.path.removeprefix("/v1")
        self.server.asked.append((path, fields))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self.answer({"error": {"message": "wrong key"}}, 401)
        usage = {"input_tokens": 11, "output_tokens": 100, "total_tokens": 111}
        if path == "/completions":
            choice = {"text": "pong", "index": 0, "logprobs": None, "finish_reason": "stop"}
            if not fields.get("stream"):
                return self.answer({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]})
            chunk = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
            return self.events(chunk, "[DONE]")
        if path.startswith("/images/"):
            if fields.get("stream"):
                return self.events(
                    {"type": "image_generation.partial_image", "b64_json": IMAGE, "partial_image_index": 0},
                    {"type": "image_generation.completed", "b64_json": IMAGE, "usage": usage})
            return self.answer({"created": 1, "data": [{"b64_json": IMAGE}], "usage": usage})
        if path == "/audio/speech":
            return self.send(SOUND, "audio/mpeg")
        if path in ("/audio/transcriptions", "/audio/translations"):
            if fields.get("stream") == b"true":
                return self.events({"type": "transcript.text.delta", "delta": TEXT}, {"type": "transcript.text.done", "text": TEXT})
            if fields.get("response_format") == b"srt":
                return self.send(b"1\n00:00:00,000 --> 00:00:01,000\nheard\n", "text/plain; charset=utf-8")
            return self.answer({"text": TEXT, "usage": {"type": "tokens", **usage}})
        if path == "/moderations":
            return self.answer({"id": "m", "model": "omni-moderation-latest", "results": [
                {"flagged": True, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}]})
        if path == "/files":
            file = f"file-{len(self.server.asked)}"
            self.server.files[file] = fields["file"]
            return self.answer(self.object(file))
        self.answer({"error": {"message": f"no {path} here"}}, 404)

    def object(self, file: str) -> dict:
        return {"id": file, "object": "file", "bytes": len(self.server.files[file]), "created_at": int(time.time()),
                "filename": "a.jsonl", "purpose": "user_data", "status": "processed"}

    def do_GET(self):
        file, _, part = self.path.removeprefix("/v1/files/").partition("/")
        if file not in self.server.files:
            return self.answer({"error": {"message": "No such File object", "type": "invalid_request_error"}}, 404)
        if part == "content":
            return self.send(self.server.files[file], "application/octet-stream")
        self.answer(self.object(file))

    def do_DELETE(self):
        file = self.path.removeprefix("/v1/files/")
        del self.server.files[file]
        self.answer({"id": file, "object": "file", "deleted": True})

    def answer(self, body: dict, status: int = 200):
        self.send(json.dumps(body).encode(), "application/json", status)

    def send(self, body: bytes, kind: str, status: int = 200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self, *events):
        data = [e if isinstance(e, str) else json.dumps(e) for e in events]
        self.send("".join(f"data: {d}\n\n" for d in data).encode(), "text/event-stream")
