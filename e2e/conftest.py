"""Fixtures that every suite here needs."""

import collections.abc
import contextlib
import pathlib

import pytest

from gateway import DEFAULT_CADDYFILE, Gateway
from standin import PAIRS, PROVIDER_KEY, Routes, StandIn

StartGateway = collections.abc.Callable[..., Gateway]


@pytest.fixture(scope="module")
def start_gateway(tmp_path_factory) -> collections.abc.Iterator[StartGateway]:
    """Starts gateways, each with a Caddyfile and its environment, and stops them after the module's last test."""
    with contextlib.ExitStack() as running:

        def start(caddyfile: pathlib.Path = DEFAULT_CADDYFILE, environment: dict[str, str] | None = None) -> Gateway:
            gateway = Gateway(tmp_path_factory.mktemp("gateway"), caddyfile, environment or {})
            running.callback(gateway.stop)
            return gateway

        yield start


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway) -> Gateway:
    """The gateway as its default Caddyfile makes it: no real provider, so the demo one answers."""
    return start_gateway()


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    """A key that no test brings to its limit."""
    return gateway.new_key()


@pytest.fixture(scope="session")
def routes(tmp_path_factory) -> collections.abc.Iterator[Routes]:
    """The ways to the stand-in's three providers."""
    with contextlib.ExitStack() as running:
        standin = StandIn()
        running.callback(standin.stop)
        gateway = Gateway(
            tmp_path_factory.mktemp("pairs"), PAIRS, {"UPSTREAM_URL": standin.url, "PROVIDER_KEY": PROVIDER_KEY})
        running.callback(gateway.stop)
        yield Routes(standin, gateway)
