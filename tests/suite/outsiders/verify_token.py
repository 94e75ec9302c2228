"""Verifies tokens with pyseto and the key from /v1/keys. Arguments: the server's URL, a valid token, an expired token."""

import base64
import json
import sys
from urllib.request import urlopen

import iso8601
import pyseto
from pyseto import Key, Paseto

server, valid, expired = sys.argv[1:]
PREFIX = "wai_sess_"
AUDIENCE = "https://api.example"

with urlopen(server + "/v1/keys", timeout=20) as response:
    [published] = json.load(response)["keys"]
key = Key.from_paserk(published["paserk"])


def decode(token, audience=AUDIENCE):
    token = token.removeprefix(PREFIX)
    return Paseto.new().decode(key, token, deserializer=json, aud=audience)


def rejection(token, audience=AUDIENCE):
    """The error of pyseto, or None if it accepts the token."""
    try:
        decode(token, audience)
    except (pyseto.VerifyError, ValueError) as error:
        return str(error)
    return None


def changed_tokens():
    """The valid token with one changed byte: in the claims, the signature and the footer."""
    version, purpose, *parts = valid.removeprefix(PREFIX).split(".")
    for number, part in enumerate(parts):
        encoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        for position in range(len(encoded)):
            changed = bytearray(encoded)
            changed[position] ^= 1
            changed = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
            other = parts[:number] + [changed] + parts[number + 1 :]
            yield f"part {number}, byte {position}", ".".join([version, purpose, *other])


changes = list(changed_tokens())
token = decode(valid)
claims = token.payload
for claim in ["iat", "exp"]:
    claims[claim] = int(iso8601.parse_date(claims[claim]).timestamp())
print(
    json.dumps(
        {
            "claims": claims,
            "footer": token.footer,
            "key_id": key.to_paserk_id(),
            "published_key_id": published["kid"],
            "changes": len(changes),
            "accepted_changes": [name for name, changed in changes if rejection(changed) is None],
            "expired": rejection(expired),
            "other_audience": rejection(valid, "https://other.example"),
        }
    )
)
