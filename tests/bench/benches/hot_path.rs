//! Each stage of a request's way through the layer, alone: what a check is made of.

use std::{convert::Infallible, future::ready, hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
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

struct Scene {
    runtime: Runtime,
    key: SigningKey,
    signer: TokenSigner,
    store: MemoryStore,
    issued: IssuedSession,
    headers: HeaderMap,
}

impl Scene {
    fn set() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let key = SigningKey::generate().expect("a key");
        let signer = TokenSigner::new(key.clone());
        let store = MemoryStore::new();
        let agent: AgentId = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().expect("an id");
        let issued = runtime
            .block_on(
                SessionManager::for_any_agent(store.clone(), signer.clone())
                    .create(CreateSession::new(agent)),
            )
            .expect("a session");
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", issued.token.expose());
        headers.insert(header::AUTHORIZATION, bearer.parse().expect("a header"));
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

    /// One that has proven nothing yet.
    fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new(self.signer.verifying_keys())
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

/// What is paid once for each token and process.
fn first_sight(criterion: &mut Criterion) {
    let scene = Scene::set();
    let mut group = criterion.benchmark_group("first sight");
    let paseto = scene.token().strip_prefix(DEFAULT_PREFIX).expect("a token");
    let public =
        pasetors::keys::AsymmetricPublicKey::<V4>::try_from(scene.key.verifying_key().to_paserk().as_str())
            .expect("a key");
    group.bench_function("pasetors: parse", |bencher| {
        bencher.iter(|| UntrustedToken::<Public, V4>::try_from(black_box(paseto)));
    });
    let untrusted = UntrustedToken::<Public, V4>::try_from(paseto).expect("a token");
    group.bench_function("pasetors: verify", |bencher| {
        bencher.iter(|| PublicToken::verify(&public, black_box(&untrusted), None, None));
    });
    group.bench_function("TokenVerifier::verify, whole", |bencher| {
        bencher.iter_batched(
            || scene.verifier(),
            |verifier| verifier.verify(black_box(scene.token())),
            BatchSize::LargeInput,
        );
    });
    let record = &scene.issued.record;
    let claims = Claims::new(
        record.id,
        record.agent_id,
        0,
        record.created_at(),
        record.expires_at(),
    );
    group.bench_function("TokenSigner::sign", |bencher| {
        bencher.iter(|| scene.signer.sign(black_box(&claims)));
    });
    group.finish();
}

/// What is paid for each request.
fn each_request(criterion: &mut Criterion) {
    let scene = Scene::set();
    let _inside = scene.runtime.enter();
    let mut group = criterion.benchmark_group("each request");
    let token = scene.token();
    group.bench_function("SHA-256 of the token", |bencher| {
        bencher.iter(|| Sha256::digest(black_box(token.as_bytes())));
    });
    let verifier = scene.verifier();
    group.bench_function("TokenVerifier::verify, proven before", |bencher| {
        bencher.iter(|| verifier.verify(black_box(token)));
    });
    let (parts, ()) = scene.request().into_parts();
    group.bench_function("TokenVerifier::verify_request, proven before", |bencher| {
        bencher.iter(|| verifier.verify_request(black_box(&parts)));
    });
    let hash = TokenHash::of(token);
    group.bench_function("TokenHash: compare", |bencher| {
        bencher.iter(|| black_box(&hash) == black_box(&scene.issued.record.token_hash));
    });
    let id = scene.issued.record.id;
    group.bench_function("MemoryStore::read", |bencher| {
        bencher.iter(|| scene.store.read(black_box(id)).now_or_never());
    });
    let proven = verifier.verify(token).expect("a good token");
    let record = &scene.issued.record;
    let now = record.created_at();
    group.bench_function("decide::admit", |bencher| {
        bencher.iter(|| decide::admit(black_box(record), &proven, now));
    });
    let inner = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(
            Response::new(Full::<bytes::Bytes>::default()),
        ))
    });
    let mut service = SessionAuthLayer::new(verifier, scene.store.clone()).layer(inner);
    group.bench_function("SessionAuthLayer, embedded store, whole", |bencher| {
        bencher.iter_batched(
            || scene.request(),
            |request| service.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The same over a real Redis: strict with its way there and back, bounded without.
fn over_redis(criterion: &mut Criterion) {
    use session_auth_tests::redis::TestRedis;
    use tower_session_auth::{
        RedisStore,
        store::{CachedStore as _, RedisStoreConfig},
    };

    let scene = Scene::set();
    let redis = TestRedis::start();
    let _inside = scene.runtime.enter();
    let store = RedisStore::open(&RedisStoreConfig::new(redis.url())).expect("a URL");
    let issued = scene
        .runtime
        .block_on(
            SessionManager::for_any_agent(store.clone(), scene.signer.clone())
                .create(CreateSession::new(scene.issued.record.agent_id)),
        )
        .expect("a session");
    let id = issued.record.id;
    store.enable_cache().expect("a near cache");
    scene.runtime.block_on(async {
        while store.cached(id).is_none() {
            store.read_through(id).await.expect("a record");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", issued.token.expose());
    headers.insert(header::AUTHORIZATION, bearer.parse().expect("a header"));
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
    let mut group = criterion.benchmark_group("over Redis");
    group.bench_function("RedisStore::cached, a hit", |bencher| {
        bencher.iter(|| store.cached(black_box(id)).expect("a record held"));
    });
    group.bench_function("RedisStore::read", |bencher| {
        bencher
            .to_async(&scene.runtime)
            .iter(|| store.read(black_box(id)));
    });
    let bounded = SessionAuthLayer::bounded(scene.verifier(), store.clone()).expect("a near cache");
    let mut bounded = bounded.layer(inner);
    group.bench_function("SessionAuthLayer, bounded, a hit, whole", |bencher| {
        bencher.iter_batched(
            request,
            |request| bounded.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
    let strict = SessionAuthLayer::new(scene.verifier(), store.clone()).layer(inner);
    group.bench_function("SessionAuthLayer, strict, whole", |bencher| {
        bencher.to_async(&scene.runtime).iter_batched(
            request,
            |request| strict.clone().call(request),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(hot_path, first_sight, each_request, over_redis);
criterion_main!(hot_path);
