"""Credentials for Schemathesis, and rules of the API that no schema can state.

CREDENTIAL is `password`, `key` or `none`. The other variables are MASTER_PASSWORD, ADMIN_KEY_NAME, ADMIN_KEY and API (the base URL).
"""

import base64
import itertools
import os
import uuid

import requests
import schemathesis
from schemathesis.generation import GenerationMode

CREDENTIAL = os.environ["CREDENTIAL"]
API = os.environ["API"]
KEY = os.environ["ADMIN_KEY"]
ADMINISTRATOR = {"X-Master-Password": os.environ["MASTER_PASSWORD"]}
BASIC = base64.b64encode(f"{os.environ['ADMIN_KEY_NAME']}:{KEY}".encode()).decode()

# The current token of each session that was created by a test.
tokens = {}
# Of client addresses. Each run has other ones.
numbers = itertools.count(os.getpid() << 8)


def is_of_administrator(context):
    return context.operation.path.startswith(("/v1/agents", "/v1/sessions")) and not is_of_session(context)


def is_of_session(context):
    return context.operation.path.startswith("/v1/auth") or context.operation.path.endswith(("/session", "/renew"))


def is_of_oauth_client(context):
    return context.operation.path in ("/v1/introspect", "/v1/revoke")


def client_address():
    """Wrong master passwords lock an address, so each request has another one."""
    number = next(numbers)
    return {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}


def fresh_session():
    """A new session of a new agent: its id and token."""

    def post(path, body):
        return requests.post(API + path, json=body, headers=ADMINISTRATOR | client_address()).json()

    agent = post("/v1/agents", {})["id"]
    session = post("/v1/sessions", {"agentId": agent, "scopes": ["0"]})
    return session["id"], session["token"]


def within_limit(scopes):
    """The first of these scopes, with at most 1024 bytes of text."""
    lengths = itertools.accumulate(len(scope) + 1 for scope in scopes)
    return [scope for scope, length in zip(scopes, lengths) if length <= 1025]


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


class Credential:
    """Sets the headers that `get` returns."""

    def set(self, case, data, context):
        case.headers.update(data)


if CREDENTIAL != "none":

    @schemathesis.auth(refresh_interval=None).apply_to(is_of_session)
    class SessionToken(Credential):
        def get(self, case, context):
            token = tokens.get((case.path_parameters or {}).get("id"))
            if token is None:
                session, token = fresh_session()
                if "{id}" in case.path and is_positive(case):
                    case.path_parameters["id"] = session
            return {"Authorization": f"Bearer {token}"}

    @schemathesis.auth(refresh_interval=None).apply_to(is_of_administrator)
    class Administrator(Credential):
        def get(self, case, context):
            return {"Authorization": f"Bearer {KEY}"} if CREDENTIAL == "key" else ADMINISTRATOR

    @schemathesis.auth(refresh_interval=None).apply_to(is_of_oauth_client)
    class OAuthClient(Credential):
        def get(self, case, context):
            return {"Authorization": f"Basic {BASIC}"} if CREDENTIAL == "key" else ADMINISTRATOR


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers.update(client_address())
    if not is_positive(case):
        return
    # A key, or the id of an agent, belongs to one request.
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if case.operation.path == "/v1/agents" and isinstance(case.body, dict) and case.body.get("id"):
        case.body["id"] = str(uuid.uuid4())
    # A cursor belongs to the list of one agent.
    if case.operation.path == "/v1/sessions" and case.query and "cursor" in case.query:
        case.query.pop("agentId", None)
    # All scopes together have a limit.
    for place in (case.query, case.body):
        for name in ("scope", "scopes"):
            if isinstance(place, dict) and isinstance(place.get(name), list):
                place[name] = within_limit(place[name])


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.path.startswith("/v1/sessions") and response.status_code in (200, 201):
        body = response.json()
        if isinstance(body, dict) and "token" in body:
            tokens[body["id"]] = body["token"]


@schemathesis.check
def described_members(ctx, response, case):
    """Each member of a response is described. Other checks allow more."""
    definition = case.operation.responses.find_by_status_code(response.status_code)
    if definition is None or not response.content:
        return
    schemas = case.operation.schema.raw_schema["components"]["schemas"]
    content = definition.definition.get("content", {}).get(response.headers["content-type"][0].split(";")[0], {})
    unknown = sorted(undescribed(response.json(), content.get("schema", {}), schemas))
    assert not unknown, f"{case.operation.label} does not describe {unknown}"


def undescribed(value, schema, schemas):
    """The members of a JSON value that no part of its schema has."""
    parts = list(flat(schema, schemas))
    if isinstance(value, list):
        return {name for item in value for part in parts for name in undescribed(item, part.get("items", {}), schemas)}
    if not isinstance(value, dict) or not any("properties" in part for part in parts):
        return set()
    found = set()
    for name, member in value.items():
        described = [part["properties"][name] for part in parts if name in part.get("properties", {})]
        if described:
            found |= undescribed(member, {"allOf": described}, schemas)
        else:
            found.add(name)
    return found


def flat(schema, schemas):
    """The parts of a schema, without references and combinations."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/")[-1]]
    yield schema
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(keyword, []):
            yield from flat(part, schemas)
