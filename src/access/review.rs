//! Questions to the API server, and its verdicts.

use super::Identity;
use std::fmt;

/// A review to ask. The key of the cache is the whole question (a token only as its keyed hash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// TokenReview of a bearer token.
    Token(Secret),
    /// SubjectAccessReview; the value is the `spec` as JSON. `cacheable` is false above 10 000 bytes of request text.
    Access {
        /// The JSON `spec`.
        spec: String,
        /// May be cached.
        cacheable: bool,
    },
}

impl Question {
    /// Asked on behalf of somebody nobody knows yet, who may ask without limit: an unproven token, an anonymous user.
    #[must_use]
    pub fn is_from_stranger(&self) -> bool {
        match self {
            Question::Token(_) => true,
            // Quotes within names are escaped, so only the member `user` can read like this.
            Question::Access { spec, .. } => spec.contains("\"user\":\"system:anonymous\""),
        }
    }
}

/// A bearer token: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub zeroize::Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// The API server's word, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token belongs to somebody.
    Known(Identity),
    /// The token is not valid; the text is the API server's.
    Unknown(String),
    /// Allowed.
    Allowed,
    /// Not allowed; the reason may be empty.
    Denied(String),
    /// The review could not be done; the text is for the body of a 500 (`SubjectAccessReview`) or the log of a 401.
    Failed(String),
}

/// Called once with the verdict, on the reviewer's thread.
pub type Reply = Box<dyn FnOnce(Verdict) + Send>;

/// Asks a review off the serving thread. Returns `false`, without calling the reply, when the queue is full.
pub type Ask = dyn Fn(Question, Reply) -> bool + Send + Sync;
