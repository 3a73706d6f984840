"""Signs and verifies requests with PyPI's http-message-signatures: a second implementation, to agree with.

A list of jobs as JSON on standard input, a list of answers as JSON on standard output. A job says what to do ("sign" or "verify"), the request
(method, url, headers, body) and the key: either a tool token's `signing_key` and `key_id`, or an API key's `secret`, `id` and
`signing`, from which the keys are derived here, written from the profile's section 2 with nothing but the standard library.
"""

import base64
import datetime
import hmac
import json
import secrets
import sys
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def hkdf(salt: bytes, ikm: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, one block."""
    prk = hmac.digest(salt, ikm, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_of(key: dict):
    """Algorithm, key id, signing key, verification key."""
    if "signing_key" in key:
        session = b64url(key["signing_key"])
        return algorithms.HMAC_SHA256, key["key_id"], session, session
    secret = b64url(key["secret"].removeprefix("bms_")[:43])
    key_id = key["id"].encode()
    if key["signing"] == "ed25519":
        seed = hkdf(b"bmap/1/api", secret, lp(b"bmap/1/api-ed25519") + lp(key_id))
        private = Ed25519PrivateKey.from_private_bytes(seed)
        return algorithms.ED25519, key["id"], private, private.public_key()
    shared = hkdf(b"bmap/1/api", secret, lp(b"bmap/1/api-sign") + lp(key_id))
    return algorithms.HMAC_SHA256, key["id"], shared, shared


def covered(headers: dict) -> list:
    optional = ["authorization", "content-type", "content-digest"]
    return ["@method", "@authority", "@path", "@query", *(name for name in optional if name in headers)]


def sign(request: SimpleNamespace, body, key: dict) -> dict:
    algorithm, key_id, private, _ = key_of(key)
    signer = HTTPMessageSigner(
        signature_algorithm=algorithm,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key_id: private}),
    )
    signer.sign(
        request,
        key_id=key_id,
        created=datetime.datetime.now(datetime.timezone.utc),
        nonce=secrets.token_urlsafe(16),
        label="bmap",
        tag="bmap-1",
        include_alg=False,
        covered_component_ids=covered(request.headers),
        body=body,  # makes Content-Digest, and covers it
    )
    return {"headers": {name.lower(): value for name, value in request.headers.items()}}


def verify(request: SimpleNamespace, body, key: dict) -> dict:
    algorithm, key_id, _, public = key_of(key)
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithm,
        key_resolver=MappingKeyResolver(public_keys={key_id: public}, private_keys={}),
    )
    try:
        verifier.verify(
            request,
            max_age=datetime.timedelta(minutes=10),
            expect_tag="bmap-1",
            require_components=covered(request.headers),
            body=body,
        )
    except InvalidSignature as why:
        return {"verified": False, "why": str(why)}
    return {"verified": True}


def answer(job: dict) -> dict:
    request = SimpleNamespace(method=job["method"], url=job["url"], headers=job["headers"])
    body = None if job["body"] is None else job["body"].encode()
    return {"sign": sign, "verify": verify}[job["do"]](request, body, job["key"])


json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
