#!/usr/bin/env python3
"""Makes the two gateway keys that the load tests use, and writes them to load_tests/keys.env, which Git ignores.

With GATEWAY_ADMIN_KEY in the environment it asks the gateway's key API; without, it runs `caddy llm keys create` on this
machine, which needs no credential where the gateway was started from this checkout.

Run it again when a limit is used up: fresh keys have fresh limits.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from credentials import KEYS_FILE

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

NAMES = {"API_KEY": "load test, high limit", "RATE_LIMIT_KEY": "load test, low limit"}


class Fault(Exception):
    """Something that the person who runs this can put right."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="http://localhost:8000", help="the gateway's address (default %(default)s)")
    parser.add_argument("--high-limit", default="1000/1h", metavar="LIMIT", help="of API_KEY, or none (default %(default)s)")
    parser.add_argument("--low-limit", default="3/1h", metavar="LIMIT", help="of RATE_LIMIT_KEY (default %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=KEYS_FILE, metavar="FILE",
                        help="where the keys go (default load_tests/keys.env)")
    parser.add_argument("--caddy", metavar="FILE", help="the gateway's binary (default bin/caddy here, else caddy)")
    arguments = parser.parse_args()
    limits = {"API_KEY": arguments.high_limit, "RATE_LIMIT_KEY": arguments.low_limit}
    try:
        admin = os.environ.get("GATEWAY_ADMIN_KEY")
        if admin:
            keys = {name: create_by_api(arguments.host, admin, NAMES[name], limit) for name, limit in limits.items()}
        else:
            caddy = find_caddy(arguments.caddy)
            keys = {name: create_by_command(caddy, NAMES[name], limit) for name, limit in limits.items()}
        check(arguments.host, keys["API_KEY"])
        write(arguments.output, keys)
    except Fault as fault:
        sys.exit(f"create_keys.py: {fault}")
    print(f"{arguments.output}: " + ", ".join(f"{name} ({limit})" for name, limit in limits.items()))


def create_by_api(host: str, admin: str, name: str, limit: str) -> str:
    body = {"name": name, "limits": [] if limit == "none" else [limit]}
    request = urllib.request.Request(
        host.rstrip("/") + "/v1/api-keys/", json.dumps(body).encode(),
        {"Content-Type": "application/json", "X-API-Key": admin})
    status, answer = ask(request)
    if status == 201:
        return json.loads(answer)["key"]
    if status in (401, 403):
        raise Fault(f"{host} refuses GATEWAY_ADMIN_KEY ({status}); it wants the admin credential, which the first start printed")
    raise Fault(f"{host} answered {status}: {message_of(answer)}")


def create_by_command(caddy: str, name: str, limit: str) -> str:
    command = [caddy, "llm", "keys", "create", "--name", name, "--limit", limit]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        raise Fault(f"{caddy} llm keys create: {done.stderr.strip()}")
    return done.stdout.strip()


def find_caddy(named: str | None) -> str:
    for candidate in [named] if named else [REPOSITORY / "bin" / "caddy", "caddy"]:
        if found := shutil.which(candidate):
            return os.path.abspath(found)
    if named:
        raise Fault(f"{named} is no program; build the gateway with `make build`, or set GATEWAY_ADMIN_KEY")
    raise Fault("there is neither GATEWAY_ADMIN_KEY nor a caddy binary here: set the one, or build the other with `make build`")


def check(host: str, key: str) -> None:
    """Sees to it that the gateway under test is the one that the key was made for."""
    status, answer = ask(urllib.request.Request(host.rstrip("/") + "/v1/models", headers={"X-API-Key": key}))
    if status == 401:
        raise Fault(f"the gateway at {host} does not know the key that was just made here: it keeps its keys elsewhere. "
                    "Set GATEWAY_ADMIN_KEY to its admin credential")
    if status != 200:
        raise Fault(f"{host} answered {status} to the new key: {message_of(answer)}")


def ask(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except (OSError, ValueError) as error:
        raise Fault(f"{request.full_url}: {error}; is the gateway running there? Start it with `make run`") from None


def message_of(answer: bytes) -> str:
    try:
        return json.loads(answer)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return answer.decode(errors="replace")[:200]


def write(path: pathlib.Path, keys: dict[str, str]) -> None:
    """Only the owner may read the file. It replaces a former one in one step, since a test may read it just now."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with open(descriptor, "w") as file:
        file.writelines(f"{key}={secret}\n" for key, secret in keys.items())
    os.replace(name, path)


if __name__ == "__main__":
    main()
