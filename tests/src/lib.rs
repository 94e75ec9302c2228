//! What the integration tests share: a real Redis, the server in process with a clock of the test's, and an HTTP client.

pub mod api;
pub mod proxy;
pub mod redis;
pub mod relay;
pub mod server;
