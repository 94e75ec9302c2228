//! The parts that integration tests share: a real Redis, the server in process with a manual clock, an HTTP client, and
//! [`store_suite!`], the tests of every session store, and the [soak test](soak).

pub mod admin_keys;
pub mod api;
pub mod fixtures;
pub mod folder;
pub mod free_address;
pub mod module_tree;
pub mod program;
pub mod prometheus;
pub mod proxies;
pub mod proxy;
pub mod python;
pub mod raw_http;
pub mod redis;
pub mod relay;
pub mod server;
pub mod soak;
pub mod store_suite;
