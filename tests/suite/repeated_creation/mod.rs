//! Creations with an `Idempotency-Key`: over HTTP on both stores, with lost responses, and in every order of late commands.

mod http;
mod orders;
mod servers;
