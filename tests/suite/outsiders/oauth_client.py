"""Introspects and revokes tokens with Authlib's client.

Arguments: the server's URL, the secret of the key `gateway`, a token that `gateway` revokes, and one that its owner revokes.
"""

import json
import sys

from authlib.integrations.requests_client import OAuth2Session

server, secret, token, own = sys.argv[1:]
INTROSPECTION = server + "/v1/introspect"
REVOCATION = server + "/v1/revoke"


def client(secret):
    return OAuth2Session(
        "gateway",
        secret,
        token_endpoint_auth_method="client_secret_basic",
        revocation_endpoint_auth_method="client_secret_basic",
        default_timeout=20,
    )


def introspect(token):
    response = gateway.introspect_token(INTROSPECTION, token=token, token_type_hint="access_token")
    response.raise_for_status()
    return response.json()


def revoke(client, token):
    response = client.revoke_token(REVOCATION, token=token, token_type_hint="access_token")
    return response.status_code


def error(response):
    return {
        "status": response.status_code,
        "error": response.json()["error"],
        # RFC 6749, section 5.2: the challenge has the scheme that the client used.
        "challenged": "Basic realm=" in response.headers["www-authenticate"],
    }


gateway = client(secret)
impostor = client(secret + "x")
owner = OAuth2Session("agent", revocation_endpoint_auth_method="none", default_timeout=20)
# In this order.
report = {
    "before": introspect(token),
    "wrong_secret": [
        error(impostor.introspect_token(INTROSPECTION, token=token)),
        error(impostor.revoke_token(REVOCATION, token=token)),
    ],
    "after_wrong_secret": introspect(token),
    "revoked": [revoke(gateway, token), revoke(gateway, token)],
    "after": introspect(token),
    "own_before": introspect(own),
    "own_revoked": revoke(owner, own),
    "own_after": introspect(own),
}
print(json.dumps(report))
