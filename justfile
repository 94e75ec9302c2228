# What CI runs, in parts.

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

# Licences and advisories (needs cargo-deny and a network).
deny:
    cargo deny check
