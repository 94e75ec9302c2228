//! Copies of request bodies, for requests that are sent again.

/// Copies a request body before the request is sent. See [`ClientSessionLayer`](super::ClientSessionLayer).
pub trait CopyBody<B> {
    /// A copy with the same content; `None` if this body cannot be copied, and its request is not sent again.
    fn copy(&self, body: &B) -> Option<B>;
}

/// Copies no body: each request is sent once. It is the default of [`ClientSessionLayer`](super::ClientSessionLayer).
#[derive(Debug, Clone, Copy, Default)]
pub struct SendOnce;

/// Copies each body with [`Clone`]. See [`resend_cloned`](super::ClientSessionLayer::resend_cloned).
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneBody;

/// Copies bodies with a function. See [`resend_with`](super::ClientSessionLayer::resend_with).
#[derive(Clone, Copy)]
pub struct CopyWith<F>(pub(super) F);

impl<B> CopyBody<B> for SendOnce {
    fn copy(&self, _: &B) -> Option<B> {
        None
    }
}

impl<B: Clone> CopyBody<B> for CloneBody {
    fn copy(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

impl<B, F: Fn(&B) -> Option<B>> CopyBody<B> for CopyWith<F> {
    fn copy(&self, body: &B) -> Option<B> {
        (self.0)(body)
    }
}

impl<F> std::fmt::Debug for CopyWith<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CopyWith(..)")
    }
}
