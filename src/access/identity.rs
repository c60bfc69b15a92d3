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
//! Deviation: a bearer token behind two blanks is ignored without a `Warning` header.

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

/// Goes through the steps. Without `reviews` bearer tokens are passed over.
pub(super) fn authenticate(
    trust: &Trust,
    verified: &Verified,
    head: &Head<'_>,
    reviews: bool,
) -> Authentication {
    let mut errors = Vec::new();
    match (&verified.front_proxy, trust.front_proxy()) {
        (Opinion::Is(()), Some(settings)) => {
            if let Some(identity) = from_headers(settings, head) {
                return Authentication::Is(recognized(identity));
            }
        }
        (Opinion::Error(error), _) => errors.push(format!("front proxy certificate: {error}")),
        _ => {}
    }
    match &verified.client {
        Opinion::Is(identity) => return Authentication::Is(recognized(identity.clone())),
        Opinion::Error(error) => errors.push(format!("client certificate: {error}")),
        Opinion::None => {}
    }
    match bearer_token(head).filter(|_| reviews) {
        Some(token) => Authentication::Ask(token, errors),
        None if errors.is_empty() => Authentication::Is(anonymous()),
        None => Authentication::Refused(errors.join("; ")),
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

/// Bytes of a header as text: what is not UTF-8 becomes U+FFFD, which no name contains.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bearer token of the first Authorization line: the word after one blank. A second blank before it voids it.
fn bearer_token(head: &Head<'_>) -> Option<Secret> {
    let line = Zeroizing::new(text(head.first("Authorization")?));
    let (scheme, rest) = line.trim().split_once(' ')?;
    let token = rest.split(' ').next().filter(|token| !token.is_empty())?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret(Zeroizing::new(token.to_owned())))
}
