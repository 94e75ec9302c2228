# The steps of CI as recipes, and recipes that need a network.

# Runs every step of CI.
ci:
    ./.ci/run

# Runs all tests, on every Redis of this machine.
test *options:
    ./tests/run {{options}}

# Runs the integration tests whose path contains NAME: `just one redis_faults::late`, `just one full_server -- --nocapture`.
one name *options:
    cargo test --package session-auth-tests --all-features --locked --tests {{name}} {{options}}

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

# Checks each feature of the middleware alone.
features:
    cargo clippy -p tower-session-auth --locked --no-default-features -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features redis -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features tls -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features client -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features key-follower -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features master-auth -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features endpoints -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features axum -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features testing -- -D warnings

# Checks licences and advisories (needs cargo-deny and a network).
deny:
    cargo deny check

# Measures the layers beside comparable crates (about 3 minutes; `just bench --quick` only checks that the benchmark runs).
bench *options:
    cargo run --release --locked -p session-auth-bench -- {{options}}

# Runs server processes at saturation with reloads, key rotations and restarts, and checks every response (`just soak --seconds 600`).
soak *options:
    cargo run --locked -p session-auth-tests --bin soak -- {{options}}
