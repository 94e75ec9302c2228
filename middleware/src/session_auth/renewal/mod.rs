//! [`RenewalLayer`]: the layer of the renewal endpoint.

mod check;
mod future;
mod layer;
mod service;

pub use future::RenewalFuture;
pub use layer::RenewalLayer;
pub use service::RenewalAuth;
