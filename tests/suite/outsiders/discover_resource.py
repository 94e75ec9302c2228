"""Finds the metadata of a protected resource with the functions of the MCP SDK. Arguments: the resource's URL, a token without scopes."""

import json
import sys

import httpx2
from mcp.client.auth.utils import (
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
)
from mcp.shared.auth import ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from pydantic import ValidationError

resource, token = sys.argv[1:]
client = httpx2.Client(timeout=20)

rejected = client.post(resource, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"})
assert rejected.status_code == 401, rejected.text
named = extract_resource_metadata_from_www_auth(rejected)
metadata_url = build_protected_resource_metadata_discovery_urls(named, resource)[0]
response = client.send(create_oauth_metadata_request(metadata_url))
response.raise_for_status()
document = response.json()

missing = []
try:
    metadata = ProtectedResourceMetadata.model_validate(document)
except ValidationError as invalid:
    unexpected = [error for error in invalid.errors() if error["type"] != "missing"]
    assert not unexpected, unexpected
    missing = [".".join(map(str, error["loc"])) for error in invalid.errors()]
    complete = {**document, "authorization_servers": ["https://login.example"]}
    metadata = ProtectedResourceMetadata.model_validate(complete)

without_scope = client.get(
    resource,
    params={"scope": "tickets:read tickets:write"},
    headers={"Authorization": "Bearer " + token},
)
print(
    json.dumps(
        {
            "metadata_url": named,
            "metadata_url_without_challenge": build_protected_resource_metadata_discovery_urls(None, resource)[0],
            "metadata": document,
            "missing_for_mcp": missing,
            "resource": str(metadata.resource),
            "resource_is_allowed": check_resource_allowed(
                resource_url_from_server_url(resource), str(metadata.resource)
            ),
            "missing_scope": {
                "status": without_scope.status_code,
                "error": extract_field_from_www_auth(without_scope, "error"),
                "scope": extract_scope_from_www_auth(without_scope),
            },
        }
    )
)
