//! Measures each stage of a check alone.

use std::{convert::Infallible, future::ready, hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusBuilder;
use pasetors::{
    Public,
    token::UntrustedToken,
    version4::{PublicToken, V4},
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tower::{Layer as _, Service as _, service_fn};
use tower_session_auth::{
    AgentId, MemoryStore, SessionAuthLayer, SessionManager, SigningKey, TokenVerifier,
    manager::IssuedSession,
    session::{CreateSession, decide},
    store::SessionStore as _,
    token::{Claims, DEFAULT_PREFIX, TokenHash, TokenSigner},
};

struct Fixture {
    runtime: Runtime,
    key: SigningKey,
    signer: TokenSigner,
    store: MemoryStore,
    issued: IssuedSession,
    headers: HeaderMap,
}

impl Fixture {
    fn new() -> Self {
        let runtime = Runtime::new().expect("create a runtime");
        let key = SigningKey::generate().expect("generate a key");
        let signer = TokenSigner::new(key.clone());
        let store = MemoryStore::new();
        let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11"
            .parse()
            .expect("a valid id");
        let issued = runtime
            .block_on(
                SessionManager::for_any_agent(store.clone(), signer.clone())
                    .create(CreateSession::new(agent)),
            )
            .expect("create a session");
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", issued.token.expose());
        headers.insert(header::AUTHORIZATION, bearer.parse().expect("a valid header"));
        Self {
            runtime,
            key,
            signer,
            store,
            issued,
            headers,
        }
    }

    fn token(&self) -> &str {
        self.issued.token.expose()
    }

    /// A verifier with an empty signature cache.
    fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new(self.signer.verifying_keys())
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

/// Costs of the first request with a token in each process.
fn first_request(criterion: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = criterion.benchmark_group("first request with a token");
    let paseto = fixture
        .token()
        .strip_prefix(DEFAULT_PREFIX)
        .expect("the default prefix");
    let public =
        pasetors::keys::AsymmetricPublicKey::<V4>::try_from(fixture.key.verifying_key().to_paserk().as_str())
            .expect("a valid key");
    group.bench_function("pasetors: parse", |bencher| {
        bencher.iter(|| UntrustedToken::<Public, V4>::try_from(black_box(paseto)));
    });
    let untrusted = UntrustedToken::<Public, V4>::try_from(paseto).expect("parse the token");
    group.bench_function("pasetors: verify", |bencher| {
        bencher.iter(|| PublicToken::verify(&public, black_box(&untrusted), None, None));
    });
    group.bench_function("TokenVerifier::verify, empty signature cache", |bencher| {
        bencher.iter_batched(
            || fixture.verifier(),
            |verifier| verifier.verify(black_box(fixture.token())),
            BatchSize::LargeInput,
        );
    });
    let record = &fixture.issued.record;
    let claims = Claims::new(
        record.id,
        record.agent_id,
        0,
        record.created_at(),
        record.expires_at(),
    );
    group.bench_function("TokenSigner::sign", |bencher| {
        bencher.iter(|| fixture.signer.sign(black_box(&claims)));
    });
    group.finish();
}

/// Costs of every request.
fn every_request(criterion: &mut Criterion) {
    let fixture = Fixture::new();
    let _guard = fixture.runtime.enter();
    let mut group = criterion.benchmark_group("every request");
    let token = fixture.token();
    group.bench_function("SHA-256 of the token", |bencher| {
        bencher.iter(|| Sha256::digest(black_box(token.as_bytes())));
    });
    let verifier = fixture.verifier();
    group.bench_function("TokenVerifier::verify, signature cached", |bencher| {
        bencher.iter(|| verifier.verify(black_box(token)));
    });
    let (parts, ()) = fixture.request().into_parts();
    group.bench_function("TokenVerifier::verify_request, signature cached", |bencher| {
        bencher.iter(|| verifier.verify_request(black_box(&parts)));
    });
    let hash = TokenHash::of(token);
    group.bench_function("TokenHash: compare", |bencher| {
        bencher.iter(|| black_box(&hash) == black_box(&fixture.issued.record.token_hash));
    });
    let id = fixture.issued.record.id;
    group.bench_function("MemoryStore::read", |bencher| {
        bencher.iter(|| fixture.store.read(black_box(id)).now_or_never());
    });
    let verified = verifier.verify(token).expect("a valid token");
    let record = &fixture.issued.record;
    let now = record.created_at();
    group.bench_function("decide::admit", |bencher| {
        bencher.iter(|| decide::admit(black_box(record), &verified, now));
    });
    let inner = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(
            Response::new(Full::<bytes::Bytes>::default()),
        ))
    });
    let layer = || SessionAuthLayer::new(verifier.clone(), fixture.store.clone());
    let recorder = PrometheusBuilder::new().build_recorder();
    let measured = metrics::with_local_recorder(&recorder, layer);
    for (name, layer) in [
        ("SessionAuthLayer, embedded store, complete", layer()),
        (
            "SessionAuthLayer, embedded store, complete, with metrics",
            measured,
        ),
    ] {
        let mut service = layer.layer(inner);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || fixture.request(),
                |request| service.call(request).now_or_never(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Costs with a real Redis: a strict check includes one round trip, a bounded check none.
fn with_redis(criterion: &mut Criterion) {
    use session_auth_tests::redis::TestRedis;
    use tower_session_auth::{
        RedisStore,
        store::{CachedStore as _, RedisStoreConfig},
    };

    let fixture = Fixture::new();
    let redis = TestRedis::start();
    let _guard = fixture.runtime.enter();
    let store = RedisStore::open(&RedisStoreConfig::new(redis.url())).expect("a valid Redis URL");
    let issued = fixture
        .runtime
        .block_on(
            SessionManager::for_any_agent(store.clone(), fixture.signer.clone())
                .create(CreateSession::new(fixture.issued.record.agent_id)),
        )
        .expect("create a session");
    let id = issued.record.id;
    store.enable_cache().expect("enable the cache");
    fixture.runtime.block_on(async {
        while store.cached(id).is_none() {
            store.read_through(id).await.expect("read the session");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", issued.token.expose());
    headers.insert(header::AUTHORIZATION, bearer.parse().expect("a valid header"));
    let request = || {
        let mut request = Request::new(());
        request.headers_mut().clone_from(&headers);
        request
    };
    let inner = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(
            Response::new(Full::<bytes::Bytes>::default()),
        ))
    });
    let mut group = criterion.benchmark_group("with Redis");
    group.bench_function("RedisStore::cached, cache hit", |bencher| {
        bencher.iter(|| store.cached(black_box(id)).expect("a cached record"));
    });
    group.bench_function("RedisStore::read", |bencher| {
        bencher
            .to_async(&fixture.runtime)
            .iter(|| store.read(black_box(id)));
    });
    let bounded = SessionAuthLayer::bounded(fixture.verifier(), store.clone()).expect("enable the cache");
    let mut bounded = bounded.layer(inner);
    group.bench_function("SessionAuthLayer, bounded, cache hit, complete", |bencher| {
        bencher.iter_batched(
            request,
            |request| bounded.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
    let strict = SessionAuthLayer::new(fixture.verifier(), store.clone()).layer(inner);
    group.bench_function("SessionAuthLayer, strict, complete", |bencher| {
        bencher.to_async(&fixture.runtime).iter_batched(
            request,
            |request| strict.clone().call(request),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(hot_path, first_request, every_request, with_redis);
criterion_main!(hot_path);
