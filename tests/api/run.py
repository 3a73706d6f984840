"""Starts a real issuer with an admin, an account and an API key, and has schemathesis hold it to its OpenAPI document: once by
callers that it knows, once by strangers."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
BMAP = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")) / "debug/bmap"
EMAIL, PASSWORD = "ana@shop.example", "correct horse battery staple 1795"
# The operator's own settings have no say here.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("BMAP_")}

KNOWN = """
[auth.openapi.accessToken]
bearer = "${ACCESS_TOKEN}"

[auth.openapi.basic]
username = "${KEY_ID}"
password = "${KEY_SECRET}"
"""

STRANGERS = """
[auth]
auto-signup = false
"""
# What they make up as credentials is refused, whatever else is right. Most of it never gets further: fewer calls are enough.
AS_STRANGERS = ["--exclude-checks", "positive_data_acceptance", "--max-examples", "10"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = folder / "log"
        with log.open("w") as out:
            serve = [BMAP, "--data-dir", folder / "data", "serve", "--listen", "127.0.0.1:0"]
            # A 429 hides what the request would have got.
            limits = {f"BMAP_REQUESTS_PER_{whom}": "60000000" for whom in ("ADDRESS", "KEY", "USER")}
            settings = limits | {"BMAP_DEVELOPMENT": "true"}
            server = subprocess.Popen(serve, stdout=out, stderr=out, env=ENVIRONMENT | settings)
        try:
            issuer = wait_for(log, r"issuer (http://[\d.:]+)")
            names = seed(folder, issuer, log)
            codes = [
                schemathesis(folder, issuer, names, KNOWN),
                schemathesis(folder, issuer, names, STRANGERS, *AS_STRANGERS),
            ]
            if server.poll() is not None:
                sys.exit(f"the issuer ended:\n{log.read_text()[-4000:]}")
            sys.exit(max(codes))
        finally:
            server.terminate()
            server.wait()


def schemathesis(folder, issuer, names, callers, *words):
    """One run; its exit code."""
    config = folder / "schemathesis.toml"
    config.write_text((HERE / "schemathesis.toml").read_text() + callers)
    program = pathlib.Path(sys.executable).parent / "st"
    environment = ENVIRONMENT | names | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    command = [program, "--config-file", config, "run", f"{issuer}/openapi.json", *words, *sys.argv[1:]]
    return subprocess.run(command, env=environment, cwd=folder).returncode


def seed(folder, issuer, log):
    """An admin with an access token, an API key of another user's, and what may be spoilt in their place."""
    bmap(folder, "tool", "add", "places", "--url", "http://127.0.0.1:4001")
    owner, spare = (json.loads(bmap(folder, "user", "add", name, "--json"))["id"] for name in ("backend", "spare"))
    key = "key add --name backend --tool places --origin https://shop.example --json --user"
    key = json.loads(bmap(folder, *key.split(), owner))
    call(f"{issuer}/auth/register", {"email": EMAIL, "password": PASSWORD})
    call(f"{issuer}/auth/confirm", {"token": wait_for(log, r"(bmc_[\w-]{43})"), "password": PASSWORD})
    bmap(folder, "user", "role", EMAIL, "admin")
    bmap(folder, "tool", "grant", EMAIL, "places")
    token, other = (call(f"{issuer}/auth/login", {"email": EMAIL, "password": PASSWORD})["access_token"] for _ in range(2))
    me, other = (call(f"{issuer}/auth/me", token=one) for one in (token, other))
    instead = {me["id"]: spare, owner: spare, me["session"]["id"]: other["session"]["id"]}
    step_up = {"PASSWORD": PASSWORD, "STEP_UP_AT": f"{issuer}/auth/step-up"}
    return step_up | {"ACCESS_TOKEN": token, "KEY_ID": key["id"], "KEY_SECRET": key["secret"], "SPARE": json.dumps(instead)}


def bmap(folder, *words):
    command = [BMAP, "--data-dir", folder / "data", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ENVIRONMENT).stdout


def call(url, body=None, token=None):
    headers = {"content-type": "application/json"} if body else {"authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def wait_for(log, pattern):
    """The first match in the server's log."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if found := re.search(pattern, log.read_text()):
            return found[1]
        time.sleep(0.1)
    sys.exit(f"no {pattern} in the log:\n{log.read_text()}")


main()
