//! Who asks: the chain of front proxy, client certificate and bearer token.
//!
//! | step | says yes | no opinion | error |
//! |---|---|---|---|
//! | front proxy | trusted peer, and a user header | no certificate, no CA, no user header | untrusted chain or name |
//! | client certificate | trusted chain with a common name | no certificate, no CA, no common name | untrusted chain, odd UID |
//! | bearer token | its review knows somebody | no token | unknown token, failed review |
//!
//! The first yes wins, whatever went wrong before it. Without a yes, any error refuses the request (401), and no
//! opinion at all makes it anonymous. Identity headers count from a proven front proxy only. Source: the delegating
//! authenticator of Kubernetes' `apiserver`.

use super::review::{Secret, Verdict};
use super::trust::{Opinion, Trust, Verified};
use super::{FrontProxySettings, Identity};
use crate::wire::percent;
use crate::wire::request::Head;
use zeroize::Zeroizing;

/// The group of everybody who was recognized.
const AUTHENTICATED: &str = "system:authenticated";
/// The group of everybody who was not.
const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user of a request without credentials.
pub(super) const ANONYMOUS: &str = "system:anonymous";

const SPACE_WARNING: &str = "299 - \"the provided Authorization header contains extra space before the bearer token, and is ignored\"";

/// What authentication came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Authentication {
    /// Somebody, or [`ANONYMOUS`].
    Is(Identity),
    /// Nobody: why, for the log.
    Refused(String),
    /// The review of a token has to wait.
    Busy,
    /// The review of this token decides; the errors so far count if it fails.
    Ask(Secret, Vec<String>),
}

/// Goes through the steps. Without `reviews` bearer tokens are passed over. The second value is the text of a
/// `Warning` header.
pub(super) fn authenticate(
    trust: &Trust,
    verified: &Verified,
    head: &Head<'_>,
    reviews: bool,
) -> (Authentication, Option<&'static str>) {
    // A badly spaced token is warned about in any case: metrics-server reads it first, for its own loopback client.
    let (token, warning) = if reviews { bearer_token(head) } else { (None, None) };
    let mut errors = Vec::new();
    match (&verified.front_proxy, trust.front_proxy()) {
        (Opinion::Is(()), Some(settings)) => {
            if let Some(identity) = from_headers(settings, head) {
                return (Authentication::Is(recognized(identity)), warning);
            }
        }
        (Opinion::Error(error), _) => errors.push(format!("front proxy certificate: {error}")),
        _ => {}
    }
    match &verified.client {
        Opinion::Is(identity) => return (Authentication::Is(recognized(identity.clone())), warning),
        Opinion::Error(error) => errors.push(format!("client certificate: {error}")),
        Opinion::None => {}
    }
    match token {
        Some(token) => (Authentication::Ask(token, errors), warning),
        None if errors.is_empty() => (Authentication::Is(anonymous()), warning),
        None => (Authentication::Refused(errors.join("; ")), warning),
    }
}

/// Goes on with the verdict on a token.
pub(super) fn with_token(mut errors: Vec<String>, verdict: Verdict) -> Authentication {
    errors.push(match verdict {
        Verdict::Known(identity) => return Authentication::Is(recognized(identity)),
        Verdict::Unknown(reason) => format!("bearer token: {reason}"),
        Verdict::Failed(reason) => format!("bearer token: the review failed: {reason}"),
        Verdict::Busy => return Authentication::Busy,
        Verdict::Allowed | Verdict::Denied(_) => {
            "bearer token: the verdict answers another question".to_owned()
        }
    });
    Authentication::Refused(errors.join("; "))
}

/// Somebody without credentials.
fn anonymous() -> Identity {
    Identity { user: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Identity::default() }
}

/// Adds the group of everybody who was recognized, unless the identity says the contrary.
fn recognized(mut identity: Identity) -> Identity {
    let is_settled = identity.groups.iter().any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED);
    if identity.user != ANONYMOUS && !is_settled {
        identity.groups.push(AUTHENTICATED.to_owned());
    }
    identity
}

/// The identity a front proxy states; `None` without a user.
fn from_headers(settings: &FrontProxySettings, head: &Head<'_>) -> Option<Identity> {
    let first = |names: &[String]| {
        // Only the first line of a header counts; the first listed header whose first line is not empty wins.
        names.iter().filter_map(|name| head.first(name)).find(|value| !value.is_empty()).map(text)
    };
    let user = first(&settings.username_headers)?;
    let groups =
        settings.group_headers.iter().flat_map(|name| head.all(name)).filter(|value| !value.is_empty());
    Some(Identity {
        user,
        uid: first(&settings.uid_headers).unwrap_or_default(),
        groups: groups.map(text).collect(),
        extra: settings
            .extra_prefixes
            .iter()
            .fold(Vec::new(), |extra, prefix| read_extra(head, prefix, extra)),
    })
}

/// Adds the extra attributes whose header names begin with `prefix`: the key is the rest of the name in lower case,
/// then percent-decoded. Sorted by key; the values of one key stay in order.
fn read_extra(
    head: &Head<'_>,
    prefix: &str,
    mut extra: Vec<(String, Vec<String>)>,
) -> Vec<(String, Vec<String>)> {
    for header in head.headers {
        let Some((start, key)) = header.name.split_at_checked(prefix.len()) else { continue };
        if !start.eq_ignore_ascii_case(prefix) {
            continue;
        }
        let (key, value) = (percent_decoded(&key.to_ascii_lowercase()), text(header.value));
        match extra.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => extra.get_mut(at).into_iter().for_each(|(_, values)| values.push(value.clone())),
            Err(at) => extra.insert(at, (key, vec![value])),
        }
    }
    extra
}

/// Decodes `%xx`; a text with a malformed escape stays as it is.
fn percent_decoded(encoded: &str) -> String {
    if percent::is_well_formed(encoded) {
        text(&percent::decoded(encoded, false))
    } else {
        encoded.to_owned()
    }
}

/// Bytes of a header as text: each byte that is not UTF-8 becomes U+FFFD, as Go's JSON encoder writes it.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The bearer token of the first Authorization line: the word after one blank. A second blank before it voids it, with
/// a warning.
fn bearer_token(head: &Head<'_>) -> (Option<Secret>, Option<&'static str>) {
    let line = Zeroizing::new(head.first("Authorization").map(text).unwrap_or_default());
    let mut words = line.trim().splitn(3, ' ');
    let (scheme, token) = (words.next().unwrap_or_default(), words.next());
    match token {
        Some(token) if scheme.eq_ignore_ascii_case("bearer") => {
            if token.is_empty() {
                return (None, words.next().map(|_| SPACE_WARNING));
            }
            (Some(Secret(Zeroizing::new(token.to_owned()))), None)
        }
        _ => (None, None),
    }
}
