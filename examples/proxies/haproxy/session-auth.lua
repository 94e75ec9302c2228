-- Asks the auth service about the request. Admits it with the identity headers of the answer, or sends the answer to the client.
-- The variable txn.required_scope, if set, is a scope that the session needs.

local AUTH_URL = "http://127.0.0.1:8081/v1/auth"
local IDENTITY = { "x-session-id", "x-agent-id", "x-session-expires-at", "x-session-scopes" }
local REJECTION = { "www-authenticate", "content-type", "cache-control", "retry-after", "x-request-id" }

local function values(headers, name)
    local list, i = {}, 0
    while headers[name] and headers[name][i] do
        list[#list + 1] = headers[name][i]
        i = i + 1
    end
    return list
end

local function session_auth(txn)
    local request = txn.http:req_get_headers()
    local url = AUTH_URL
    local scope = txn:get_var("txn.required_scope")
    if scope then
        url = url .. "?scope=" .. scope
    end

    local answer = core.httpclient():get({
        url = url,
        timeout = 1500,
        headers = {
            ["host"] = values(request, "host"),
            ["authorization"] = values(request, "authorization"),
            ["x-forwarded-method"] = { txn.f:method() },
            ["x-forwarded-uri"] = { txn.f:pathq() },
            ["x-forwarded-for"] = { txn.f:src() },
        },
    })

    local headers = answer.headers or {}
    if answer.status == 200 and #values(headers, "x-session-id") == 1 then
        for _, name in ipairs(IDENTITY) do
            for _, value in ipairs(values(headers, name)) do
                txn.http:req_set_header(name, value)
            end
        end
        txn:set_var("txn.session_admitted", true)
    elseif answer.status == 401 or answer.status == 403 or (answer.status == 503 and headers["retry-after"]) then
        local reply = txn:reply({ status = answer.status, body = answer.body })
        for _, name in ipairs(REJECTION) do
            for _, value in ipairs(values(headers, name)) do
                reply:add_header(name, value)
            end
        end
        txn:done(reply)
    end
    -- Every other answer is a failure: haproxy.cfg sends 503.
end

core.register_action("session_auth", { "http-req" }, session_auth)
