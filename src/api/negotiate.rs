//! Which representation a request gets: media type, form and layout, chosen in one pass over `Accept`.
//!
//! A clause counts when the endpoint serves its media type in the form it asks for (`as`, `g`, `v`); of those that count,
//! the best quality wins, then the more specific media type, then the first. Other parameters are ignored. Only the first
//! `Accept` line counts, and nothing is allocated. Deviations: `PartialObjectMetadata` and `Table` in `v1beta1` are not
//! served, a quality of zero excludes a media type, indented JSON is asked for by `pretty=` or by the user agent alone, and
//! YAML is written in flow style, as indented JSON: a library's block style leaves words unquoted that Go's older reader
//! takes for booleans.

use super::status::Status;
use crate::invariant::assured;
use crate::wire::request::{Head, parameter};

/// `Content-Type` of JSON.
pub const JSON: &str = "application/json";
/// `Content-Type` of YAML.
pub const YAML: &str = "application/yaml";
/// `Content-Type` of Kubernetes' protobuf envelope.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

const ALL: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// What documents are served as.
const TEXT: &str = "application/json, application/yaml";

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/yaml`: indented JSON, which is YAML that every reader understands alike.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl Media {
    /// In the order in which a wildcard tries them.
    const ALL: [Media; 3] = [Media::Json, Media::Yaml, Media::Protobuf];

    /// The `Content-Type`, without parameters.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Media::Json => JSON,
            Media::Yaml => YAML,
            Media::Protobuf => PROTOBUF,
        }
    }
}

/// The form that a clause asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rendition {
    /// Objects and documents as they are.
    #[default]
    Plain,
    /// Rows with columns, for printing: `as=Table;v=v1;g=meta.k8s.io`.
    Table,
    /// Discovery in one document: `as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io`.
    Aggregated,
}

/// What the negotiation chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The encoding.
    pub media: Media,
    /// Indented JSON.
    pub pretty: bool,
    /// The form.
    pub rendition: Rendition,
}

/// Negotiates metrics: a list or one object, plain or (but for protobuf) as a table.
/// # Errors
/// 406.
pub fn metrics(head: &Head<'_>) -> Result<Choice, Status> {
    choose(head, |media, rendition| match rendition {
        Rendition::Plain => true,
        Rendition::Table => media != Media::Protobuf,
        Rendition::Aggregated => false,
    })
    .ok_or_else(|| Status::not_acceptable(ALL))
}

/// Negotiates a document that has one form, in JSON or YAML.
/// # Errors
/// 406.
pub fn document(head: &Head<'_>) -> Result<Choice, Status> {
    choose(head, |media, rendition| media != Media::Protobuf && rendition == Rendition::Plain)
        .ok_or_else(|| Status::not_acceptable(TEXT))
}

/// Negotiates the list of groups, plain or aggregated.
/// # Errors
/// 406.
pub fn groups(head: &Head<'_>) -> Result<Choice, Status> {
    choose(head, |media, rendition| media != Media::Protobuf && rendition != Rendition::Table)
        .ok_or_else(|| Status::not_acceptable(TEXT))
}

/// Checks that JSON is acceptable, where nothing else is served.
/// # Errors
/// 406.
pub fn json_only(head: &Head<'_>) -> Result<(), Status> {
    choose(head, |media, rendition| media == Media::Json && rendition == Rendition::Plain)
        .map(|_| ())
        .ok_or_else(|| Status::not_acceptable(JSON))
}

/// Negotiates an error document; when no clause fits one it is indented JSON.
#[must_use]
pub fn error(head: &Head<'_>) -> Choice {
    let fallback = Choice { media: Media::Json, pretty: true, rendition: Rendition::Plain };
    choose(head, |_, rendition| rendition == Rendition::Plain).unwrap_or(fallback)
}

/// The best clause that `serves` knows.
fn choose(head: &Head<'_>, serves: impl Fn(Media, Rendition) -> bool) -> Option<Choice> {
    let accept = head.first("Accept").unwrap_or(b"");
    let accept = if accept.is_empty() { b"*/*" } else { accept };
    let mut best: Option<(Rank, Choice)> = None;
    for clause in accept.split(|b| *b == b',').filter_map(Clause::read) {
        let rendition = clause.rendition;
        let fits = |media: &Media| clause.names(*media) && rendition.is_some_and(|r| serves(*media, r));
        let (Some(media), Some(rendition)) = (Media::ALL.into_iter().find(fits), rendition) else { continue };
        if clause.rank.quality > 0.0 && best.as_ref().is_none_or(|(rank, _)| clause.rank > *rank) {
            best = Some((clause.rank, Choice { media, pretty: false, rendition }));
        }
    }
    best.map(|(_, choice)| {
        let pretty = match choice.media {
            Media::Json => pretty(head),
            Media::Yaml => true,
            Media::Protobuf => false,
        };
        Choice { pretty, ..choice }
    })
}

/// Whether the request wants indented JSON by its query or its user agent.
fn pretty(head: &Head<'_>) -> bool {
    if let Some(value) = parameter(head.query, "pretty")
        && !value.is_empty()
    {
        return matches!(&*value, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = head.first("User-Agent").unwrap_or(b"");
    [&b"curl"[..], b"Wget", b"Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

/// What decides between clauses: quality, then how much of the media type is named.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Rank {
    quality: f64,
    named: u8,
}

/// One clause of `Accept`.
struct Clause<'a> {
    main: &'a [u8],
    sub: &'a [u8],
    rank: Rank,
    /// `None`: a form that nothing here has.
    rendition: Option<Rendition>,
}

impl<'a> Clause<'a> {
    /// Reads a clause; `None` when it is no media type.
    fn read(text: &'a [u8]) -> Option<Clause<'a>> {
        let mut parts = text.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let (main, sub) = match halves(parts.next()?, b'/') {
            (b"*", None) => (&b"*"[..], &b"*"[..]),
            (main, Some(sub)) => (main, sub),
            _ => return None,
        };
        let (mut quality, mut kind, mut group, mut version) = (1.0, &b""[..], &b""[..], &b""[..]);
        for (name, value) in parts.map(|part| halves(part, b'=')) {
            let value = value.unwrap_or_default();
            match name {
                b"q" => quality = std::str::from_utf8(value).ok().and_then(|q| q.parse().ok()).unwrap_or(0.0),
                b"as" => kind = value,
                b"g" => group = value,
                b"v" => version = value,
                _ => {}
            }
        }
        let rendition = match (kind, group, version) {
            (b"", b"", b"") => Some(Rendition::Plain),
            (b"Table", b"meta.k8s.io", b"v1") => Some(Rendition::Table),
            (b"APIGroupDiscoveryList", b"apidiscovery.k8s.io", b"v2") => Some(Rendition::Aggregated),
            _ => None,
        };
        let named = u8::from(main != b"*") + u8::from(sub != b"*");
        Some(Clause { main, sub, rank: Rank { quality, named }, rendition })
    }

    /// Whether a media type is meant, by name or by wildcard.
    fn names(&self, media: Media) -> bool {
        let (main, sub) = (self.main, self.sub);
        media.content_type().split_once('/').is_some_and(|(group, name)| {
            let is_group = main.eq_ignore_ascii_case(group.as_bytes());
            (is_group && (sub == b"*" || sub.eq_ignore_ascii_case(name.as_bytes())))
                || (main, sub) == (b"*", b"*")
        })
    }
}

/// The text before and after the first separator, without blanks.
fn halves(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut halves = text.splitn(2, |b| *b == separator).map(<[u8]>::trim_ascii);
    (assured(halves.next(), "a split has a first part, even of nothing"), halves.next())
}

#[cfg(test)]
mod tests;
