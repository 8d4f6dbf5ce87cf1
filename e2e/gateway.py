"""Runs the gateway's binary for a test: one process, its own port, its own data directory."""

import os
import pathlib
import secrets
import socket
import subprocess
import time

import httpx

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("GATEWAY_BIN", REPOSITORY / "bin" / "caddy")).resolve()
DEFAULT_CADDYFILE = REPOSITORY / "Caddyfile"

START_SECONDS = 30
STOP_SECONDS = 30


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_ok(url: str, process: subprocess.Popen, log: pathlib.Path, headers: dict[str, str] | None = None) -> None:
    """Asks url until it answers 200. Fails with the end of the log where the process ends or time is up."""
    deadline = time.monotonic() + START_SECONDS
    answer = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"ended with status {process.returncode} before it was ready:\n{tail(log)}")
        try:
            response = httpx.get(url, headers=headers, timeout=2)
            if response.status_code == 200:
                return
            answer = f"{response.status_code} {response.text}"
        except httpx.TransportError as error:
            answer = repr(error)
        time.sleep(0.05)  # between two questions: there is nothing to wait on
    raise AssertionError(f"{url} not ready after {START_SECONDS} s, last: {answer}\n{tail(log)}")


def tail(log: pathlib.Path, characters: int = 6000) -> str:
    return log.read_text(errors="replace")[-characters:]


class Gateway:
    """A running gateway."""

    def __init__(self, directory: pathlib.Path, caddyfile: pathlib.Path, environment: dict[str, str]):
        self.caddyfile = caddyfile
        self.log = directory / "gateway.log"
        self.output = directory / "gateway.out"
        self.keys: list[str] = []
        self.credentials = [value for name, value in environment.items() if name.endswith("_KEY")]
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        home = directory / "home"
        home.mkdir()
        # Nothing of the caller's environment but PATH, so that no provider's variable switches a provider on.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GATEWAY_ADDR": f":{port}",
            "GATEWAY_DATA": str(directory / "data"),
            **environment,
        }
        if not BINARY.is_file():
            raise AssertionError(f"there is no gateway at {BINARY}; build it, or say where it is in GATEWAY_BIN")
        with self.log.open("wb") as log, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [BINARY, "run", "--config", caddyfile, "--adapter", "caddyfile"],
                cwd=directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
            )
        try:
            await_ok(self.url + "/v1/ready", self.process, self.log)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def base_url(self) -> str:
        """What an OpenAI SDK takes as its base URL."""
        return self.url + "/v1"

    def new_key(self, limit: str = "1000000/1h") -> str:
        """Imports a fresh key from the command line, as an operator would."""
        key = "sp_" + secrets.token_hex(32)
        command = [BINARY, "llm", "keys", "import", "--key", key, "--name", f"e2e-{len(self.keys)}",
                   "--limit", limit, "--config", self.caddyfile, "--json"]
        done = subprocess.run(
            command, cwd=self.caddyfile.parent, env=self.environment, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"importing a key: {done.stderr}\n{done.stdout}"
        self.keys.append(key)
        return key

    def stop(self) -> None:
        """Stops the gateway as an init system would, and checks that it left well and told no secret."""
        self.process.terminate()
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running {STOP_SECONDS} s after SIGTERM:\n{tail(self.log)}") from None
        assert status == 0, f"ended with status {status} after SIGTERM:\n{tail(self.log)}"
        for written in (self.log, self.output):
            text = written.read_text(errors="replace")
            for secret in self.keys + self.credentials:
                assert secret not in text, f"a key stands in {written.name}"
