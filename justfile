# What CI runs, in parts, and what needs a network.

# Everything, as CI does.
ci:
    ./.ci/run

# All tests, on every Redis that this machine has.
test *options:
    ./tests/run {{options}}

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

# Each feature of the middleware alone.
features:
    cargo clippy -p tower-session-auth --locked --no-default-features -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features redis -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features tls -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features client -- -D warnings
    cargo clippy -p tower-session-auth --locked --no-default-features --features master-auth -- -D warnings

# Licences and advisories (needs cargo-deny and a network).
deny:
    cargo deny check

# What a check costs, beside its peers (about 3 minutes; `just bench --quick` shows that it runs).
bench *options:
    cargo run --release --locked -p session-auth-bench -- {{options}}
