//! Questions to the API server, and its verdicts.

use super::Identity;
use std::fmt;

/// A review to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub asked: Asked,
    /// Asked for a caller who is not authenticated: an anonymous one, or one with a token that was never found valid.
    /// Such callers can ask without limit, so they get a share of the reviews and are asked last.
    pub is_unauthenticated: bool,
}

/// What a review is about. The key of the cache is the whole of it (a token only as its keyed hash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
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
    /// Bytes that it holds.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        match &self.asked {
            Asked::Token(token) => token.0.len(),
            Asked::Access { spec, .. } => spec.len(),
        }
    }

    /// Whose token is this? Nobody knows yet whether it is valid.
    #[must_use]
    pub fn token(token: Secret) -> Question {
        Question { asked: Asked::Token(token), is_unauthenticated: true }
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

/// The API server's verdict, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token is valid and belongs to this user.
    Known(Identity),
    /// The token is not valid; the text is the API server's.
    Unknown(String),
    /// Allowed.
    Allowed,
    /// Not allowed; the reason may be empty.
    Denied(String),
    /// The review could not be done; the text is for the body of a 500 (`SubjectAccessReview`) or the log of a 401.
    Failed(String),
    /// The review was not asked, since too many are under way: the client should try again.
    Busy,
}

/// Called once with the verdict, on the reviewer's thread.
pub type Reply = Box<dyn FnOnce(Verdict) + Send>;

/// Asks a review off the serving thread. Returns `false`, without calling the reply, when the queue is full.
pub type Ask = dyn Fn(Question, Reply) -> bool + Send + Sync;
