"""The gateway keys that the load tests use: from the environment, else from the file that create_keys.py writes."""

import os
import pathlib
import sys

KEYS_FILE = pathlib.Path(__file__).with_name("keys.env")


def credential(name: str) -> str:
    """The key named API_KEY or RATE_LIMIT_KEY. Where there is none, the program ends and says how to get one."""
    if value := os.environ.get(name) or read_keys(KEYS_FILE).get(name):
        return value
    sys.exit(
        f"There is no {name}. Make the keys with `python load_tests/create_keys.py`, "
        f"or set {name} to a key of the gateway (sp_…).")


def read_keys(path: pathlib.Path) -> dict[str, str]:
    """Reads lines of the form NAME=value; a file that is not there holds none."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
