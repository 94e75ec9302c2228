//! The reverse proxies of `examples/proxies`, in front of an upstream, with the real server as the auth service.

mod admission;
mod faults;
mod rejection;
mod streams;
mod targets;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::HeaderName, request::Builder};
use session_auth_tests::{
    api::Reply,
    proxies::{self, ProxyKind, RunningProxy, Upstream},
    server::TestServer,
};

/// Makes a module with all cases of a proxy.
macro_rules! cases {
    ($module:ident, $kind:ident) => {
        cases! { $module, $kind,
            admission::admitted_request_carries_the_identity_of_its_session,
            admission::forged_identity_headers_are_replaced,
            admission::forged_identity_headers_are_removed_on_public_paths,
            admission::scope_is_required_below_admin,
            rejection::rejected_request_does_not_reach_the_upstream,
            rejection::revoked_session_is_rejected_at_once,
            rejection::revoked_session_is_rejected_within_the_bound,
            rejection::response_to_head_has_no_body,
            faults::store_outage_stays_a_503,
            faults::auth_server_that_is_down_admits_nothing,
            faults::auth_server_that_hangs_admits_nothing_in_bounded_time,
            streams::upload_arrives_unharmed,
            streams::rejected_upload_does_not_reach_the_upstream,
            streams::websocket_needs_a_token,
            streams::upgrade_headers_of_the_client_are_replaced,
            targets::ambiguous_target_does_not_skip_the_check,
            targets::query_is_not_part_of_the_path,
        }
    };
    ($module:ident, $kind:ident, $($group:ident::$case:ident,)*) => {
        mod $module {
            use super::{admission, faults, proxies::$kind, rejection, streams, targets};
            $(
                #[tokio::test]
                async fn $case() {
                    if $kind.is_wanted() {
                        $group::$case(&$kind).await;
                    }
                }
            )*
        }
    };
}

cases!(nginx, NGINX);
cases!(traefik, TRAEFIK);
cases!(caddy, CADDY);
cases!(haproxy, HAPROXY);
cases!(envoy, ENVOY);
cases!(envoy_grpc, ENVOY_GRPC);

/// A proxy between a client and an upstream, which asks a server.
struct Setup {
    server: TestServer,
    upstream: Upstream,
    proxy: RunningProxy,
}

impl Setup {
    async fn new(kind: &ProxyKind, server: TestServer) -> Self {
        let upstream = Upstream::start().await;
        let proxy = RunningProxy::start(kind, server.address, upstream.address).await;
        Self {
            server,
            upstream,
            proxy,
        }
    }

    async fn memory(kind: &ProxyKind) -> Self {
        Self::new(kind, TestServer::memory().await).await
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        let request = with_token(Request::get(path), token).body(Bytes::new());
        self.proxy.send(request.expect("a request")).await
    }

    /// Sends a request. Asserts the rejection that the server itself gives, and that the upstream gets nothing.
    async fn assert_rejected(&self, request: Request<Bytes>, status: u16, code: &str) {
        let label = format!("{} {}", request.method(), request.uri());
        let token = request.headers().get("authorization");
        let token = token.map(|value| value.to_str().expect("text").replace("Bearer ", ""));
        let demand = if request.uri().path().starts_with("/admin") {
            "?scope=admin"
        } else {
            ""
        };
        let path = format!("/v1/auth{demand}");
        let own = match token {
            Some(token) => self.server.api.bearer(Method::GET, &path, &token).await,
            None => self.server.api.anonymous(Method::GET, &path).await,
        };
        own.rejected(status, code);
        let before = self.upstream.seen().len();
        let has_body = request.method() != Method::HEAD;
        let reply = self.proxy.send(request).await;
        assert_eq!(reply.status, status, "{label}: {}", reply.body);
        let challenges = |reply: &Reply| -> Vec<_> {
            let challenges = reply.headers.get_all("www-authenticate").iter();
            challenges.cloned().collect()
        };
        assert_eq!(challenges(&reply), challenges(&own), "{label}");
        assert_eq!(reply.header("cache-control"), "no-store", "{label}");
        if has_body {
            assert_eq!(reply.code(), code, "{label}: {}", reply.body);
            assert_eq!(reply.header("content-type"), "application/problem+json");
        } else {
            assert!(reply.body.is_null(), "{label}: {}", reply.body);
        }
        assert_eq!(self.upstream.seen().len(), before, "{label}");
    }

    /// The identity in the server's own response for a token.
    async fn identity(&self, token: &str) -> Vec<(String, String)> {
        let reply = self.server.api.bearer(Method::GET, "/v1/auth", token).await;
        identity(&reply.expect(200).headers)
    }
}

fn with_token(request: Builder, token: &str) -> Builder {
    request.header("authorization", format!("Bearer {token}"))
}

/// The headers that an upstream could read as an identity, in any spelling. A header without a value is none.
fn identity(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut identity: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().replace(['_', '.'], "-");
            (name, value.to_str().expect("text").to_owned())
        })
        .filter(|(name, value)| {
            !value.is_empty() && (name.starts_with("x-session-") || name.starts_with("x-agent-"))
        })
        .collect();
    identity.sort();
    identity
}

/// The headers of the request that the upstream describes.
fn headers_at_upstream(reply: &Reply) -> HeaderMap {
    let headers = reply.body["headers"].as_array().expect("an echo");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    headers
        .iter()
        .map(|pair| {
            let name: HeaderName = text(&pair[0]).parse().expect("a name");
            (name, text(&pair[1]).parse().expect("a value"))
        })
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
}
