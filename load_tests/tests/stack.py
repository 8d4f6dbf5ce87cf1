"""Runs a gateway for a test, and a Redis if the test wants one: each with its own port and files."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("GATEWAY_BIN") or REPOSITORY / "bin" / "caddy").resolve()
ADMIN_KEY = "load-test-admin-credential-0123456789"

START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Stack:
    """A checkout of its own: the load tests, the scripts, the Caddyfile with additions, and a gateway that runs it."""

    def __init__(self, provider: str = "", redis: bool = False):
        """provider is what the demo provider's block says."""
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="load"))
        self.processes: list[subprocess.Popen] = []
        try:
            self.start(provider, redis)
        except BaseException:
            self.stop()
            raise

    def start(self, provider: str, redis: bool):
        for folder in ("load_tests", "scripts"):
            shutil.copytree(REPOSITORY / folder, self.root / folder, ignore=shutil.ignore_patterns("tests", "keys.env", "__pycache__"))
        shutil.copy(REPOSITORY / "requirements.txt", self.root)
        (self.root / "bin").mkdir()
        (self.root / "bin" / "caddy").symlink_to(BINARY)

        additions = ""
        if redis:
            self.redis_port = free_port()
            self.run("redis", ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", self.root])
            additions += f"store redis {{\n\t\turl redis://127.0.0.1:{self.redis_port}\n\t}}\n"
        if provider:
            additions += f"provider demo {{\n{provider}\n}}\n"
        caddyfile = (REPOSITORY / "Caddyfile").read_text()
        (self.root / "Caddyfile").write_text(caddyfile.replace("llm_gateway {\n", "llm_gateway {\n" + additions, 1))

        port = free_port()
        self.host = f"http://localhost:{port}"
        # Nothing of the caller's environment but PATH, so that no provider's variable switches a provider on.
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.root), "GATEWAY_ADDR": f":{port}", "GATEWAY_DATA": str(self.root / "data"),
        }
        self.run("gateway", [BINARY, "run", "--config", "Caddyfile", "--adapter", "caddyfile"], GATEWAY_ADMIN_KEY=ADMIN_KEY)
        self.await_ready()

    def run(self, name: str, command: list, **environment: str):
        with (self.root / f"{name}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(
                command, cwd=self.root, env={**getattr(self, "environment", os.environ), **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def await_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self.processes):
                break
            try:
                if self.ask("/v1/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)  # between two questions: there is nothing to wait on
        logs = "\n".join(log.read_text(errors="replace")[-3000:] for log in self.root.glob("*.log"))
        raise AssertionError(f"the gateway did not start:\n{logs}")

    def ask(self, path: str, key: str = "") -> tuple[int, dict]:
        request = urllib.request.Request(self.host + path, headers={"X-API-Key": key} if key else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def python(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs a script of the checkout."""
        return self.command([sys.executable, *command], **environment)

    def command(self, command: list, directory: pathlib.Path | None = None, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=directory or self.root, env={**self.environment, **environment},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)

    def make_keys(self) -> dict[str, str]:
        """Makes the keys, and returns them by name."""
        done = self.python("load_tests/create_keys.py", "--host", self.host)
        assert done.returncode == 0, done.stderr
        lines = (self.root / "load_tests" / "keys.env").read_text().split()
        return dict(line.split("=") for line in lines)

    def locust(self, file: str, *options: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs a locustfile, headless, and has its results in results/run_*.csv."""
        return self.python("-m", "locust", "-f", f"load_tests/{file}", "--host", self.host, "--headless", "--only-summary",
                           "--csv", "results/run", *options, **environment)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.root)
