"""A resource server that Authlib protects by introspection.

Arguments: the server's URL, the secret of the key `gateway`, a token with the scopes `tickets:read` and `tickets:write`, one without
scopes, and a revoked one with `tickets:read`.
"""

import json
import sys
from types import SimpleNamespace

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc7662 import IntrospectTokenValidator

server, secret, scoped, plain, revoked = sys.argv[1:]


class Introspection(IntrospectTokenValidator):
    client = OAuth2Session("gateway", secret, default_timeout=20)

    def introspect_token(self, token_string):
        response = self.client.introspect_token(server + "/v1/introspect", token=token_string)
        response.raise_for_status()
        return response.json()


protector = ResourceProtector()
protector.register_token_validator(Introspection())


def handle(headers, scopes):
    """Handles a request: the status, with the agent or the code of the error."""
    try:
        token = protector.validate_request(scopes, SimpleNamespace(headers=headers))
    except OAuth2Error as error:
        status, body, _headers = error()
        return status, dict(body)["error"]
    return 200, token["sub"]


def get(token, *scopes):
    # Authlib takes a list of alternatives. One alternative has all the scopes.
    return handle({"Authorization": "Bearer " + token}, [" ".join(scopes)] if scopes else None)


report = {
    "all scopes": get(scoped, "tickets:write", "tickets:read"),
    "one scope": get(scoped, "tickets:read"),
    "missing scope": get(scoped, "tickets:delete"),
    "one scope of two": get(scoped, "tickets:read", "tickets:delete"),
    "token without scopes": get(plain, "tickets:read"),
    "token without scopes, none required": get(plain),
    "revoked token": get(revoked, "tickets:read"),
    "forged token": get(scoped + "x", "tickets:read"),
    "no token": handle({}, ["tickets:read"]),
}
print(json.dumps(report))
