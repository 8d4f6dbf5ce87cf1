"""Starts the stand-in for the providers, and gateways before it."""

import dataclasses
import os
import pathlib
import subprocess
import sys

from gateway import Gateway

HERE = pathlib.Path(__file__).resolve().parent
PAIRS = HERE / "pairs.Caddyfile"
PROVIDER_KEY = "provider-key-of-the-stand-in"


class StandIn:
    """A running stand-in."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "upstream" / "serve.py"], env={**os.environ, "PROVIDER_KEY": PROVIDER_KEY},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@dataclasses.dataclass(frozen=True)
class Route:
    """A way to a provider of the stand-in's: through the gateway or, to learn what the SDK makes of it, without."""

    url: str
    key: str
    provider: str
    direct: bool

    def model(self, scenario: str) -> str:
        return scenario if self.direct else f"{self.provider}/{scenario}"


class Routes:
    """The stand-in, a gateway before it, and the ways to both."""

    def __init__(self, standin: StandIn, gateway: Gateway):
        self.standin = standin
        self.gateway = gateway
        self.key = gateway.new_key()

    def direct(self, dialect: str) -> Route:
        return Route(self.standin.url, PROVIDER_KEY, dialect, direct=True)

    def through(self, provider: str) -> Route:
        return Route(self.gateway.url, self.key, provider, direct=False)
