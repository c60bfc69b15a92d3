//! Which representation a request gets: media type, transformation, layout.
//!
//! Two stages, as in the reference, with different ideas of a wildcard. The router reads only the types of the `Accept`
//! header and lets exact ones and `*/*` through. The negotiator then takes the clauses by quality and skips those whose
//! parameters (`as`, `g`, `v`, `stream`, `sv`) the endpoint cannot serve. Each stage has its own 406. Only the first
//! `Accept` line counts. Nothing is allocated but the list of clauses, which is bounded.
//! Source: go-restful's router, `k8s.io/apiserver` `negotiation`, and goautoneg's order of clauses.

use super::answer::Answer;
use super::status::{Detail, Status};
use crate::limits::ACCEPT_CLAUSES_MAX;
use crate::wire::request::{Head, parameter};

/// `Content-Type` of JSON.
pub const JSON: &str = "application/json";
/// `Content-Type` of YAML.
pub const YAML: &str = "application/yaml";
/// `Content-Type` of Kubernetes' protobuf envelope.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/yaml`.
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

/// The transformation asked for by a clause: `as`, `g` and `v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Convert<'a> {
    /// `as`.
    pub kind: &'a [u8],
    /// `g`.
    pub group: &'a [u8],
    /// `v`.
    pub version: &'a [u8],
}

/// What the negotiation chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The encoding.
    pub media: Media,
    /// Indented JSON.
    pub pretty: bool,
    /// The transformation, if one was asked for.
    pub convert: Option<Convert<'a>>,
}

/// Versions of the group `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVersion {
    /// `v1`.
    V1,
    /// `v1beta1`.
    V1beta1,
}

impl MetaVersion {
    /// Group and version.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            MetaVersion::V1 => "meta.k8s.io/v1",
            MetaVersion::V1beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// The form in which objects are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// As they are.
    None,
    /// Rows with columns, for printing.
    Table(MetaVersion),
    /// Metadata of one object.
    Partial(MetaVersion),
    /// Metadata of a list.
    PartialList(MetaVersion),
}

impl Transform {
    /// Reads `as`, `g` and `v`; `None` when it is no form of an object.
    fn of(convert: &Convert<'_>) -> Option<Transform> {
        let version = match (convert.group, convert.version) {
            (b"meta.k8s.io", b"v1") => MetaVersion::V1,
            (b"meta.k8s.io", b"v1beta1") => MetaVersion::V1beta1,
            _ => return None,
        };
        match convert.kind {
            b"Table" => Some(Transform::Table(version)),
            b"PartialObjectMetadata" => Some(Transform::Partial(version)),
            b"PartialObjectMetadataList" => Some(Transform::PartialList(version)),
            _ => None,
        }
    }
}

/// What an endpoint's router can produce; decides the text of its 406.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produces {
    /// JSON alone: `/version`.
    JsonOnly,
    /// Documents and single objects.
    Documents,
    /// Lists, which the reference could also stream.
    Lists,
}

impl Produces {
    const fn available(self) -> &'static str {
        match self {
            Produces::JsonOnly => "application/json",
            Produces::Documents => "application/json, application/yaml, application/vnd.kubernetes.protobuf",
            Produces::Lists => {
                "application/json, application/yaml, application/vnd.kubernetes.protobuf, \
                 application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
            }
        }
    }

    fn has(self, media_type: &[u8]) -> bool {
        media_type == b"*/*"
            || media_type == JSON.as_bytes()
            || (self != Produces::JsonOnly
                && (media_type == YAML.as_bytes() || media_type == PROTOBUF.as_bytes()))
    }
}

/// The router's look at `Accept`.
/// # Errors
/// The router's 406.
pub fn route(head: &Head<'_>, produces: Produces) -> Result<(), Answer> {
    let accept = head.first("Accept").unwrap_or(b"");
    if accept.is_empty() || media_types(accept).any(|media_type| produces.has(media_type)) {
        return Ok(());
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {}", produces.available());
    Err(Status::failure(406, "NotAcceptable", message).with(Detail::default()).answer(head))
}

/// The router's look at `Content-Type`, which only documents restrict.
/// # Errors
/// 415, for a type that is not produced either.
pub fn consume(head: &Head<'_>, produces: Produces) -> Result<(), Answer> {
    let sent = head.first("Content-Type").unwrap_or(b"");
    if sent.is_empty() || media_types(sent).any(|t| t != b"*/*" && produces.has(t)) {
        return Ok(());
    }
    let message = "415: Unsupported Media Type".to_owned();
    Err(Status::failure(415, "UnsupportedMediaType", message).with(Detail::default()).answer(head))
}

/// Negotiates a document that has no other form (discovery): JSON, YAML or protobuf.
/// # Errors
/// 415, or one of the two 406.
pub fn document<'a>(head: &Head<'a>) -> Result<Choice<'a>, Answer> {
    consume(head, Produces::Documents)?;
    route(head, Produces::Documents)?;
    choose(head, b"", |_, convert| convert.is_none()).ok_or_else(|| not_acceptable(head))
}

/// Negotiates metrics: a list or one object, in one of its forms. The router's turn is over.
/// # Errors
/// The negotiator's 406.
pub fn metrics<'a>(head: &Head<'a>) -> Result<(Choice<'a>, Transform), Answer> {
    let allows = |media, convert: Option<&Convert<'_>>| match convert.map(Transform::of) {
        None => true,
        Some(None) => false,
        Some(Some(Transform::Table(_))) => media != Media::Protobuf,
        Some(Some(_)) => true,
    };
    let choice = choose(head, b"v1", allows).ok_or_else(|| not_acceptable(head))?;
    let transform = choice.convert.as_ref().and_then(Transform::of).unwrap_or(Transform::None);
    Ok((choice, transform))
}

/// Negotiates an error document; `None` when no clause fits it: such an error is indented JSON.
#[must_use]
pub fn error<'a>(head: &Head<'a>) -> Option<Choice<'a>> {
    choose(head, b"", |_, convert| convert.is_none())
}

/// The negotiator's 406.
#[must_use]
pub fn not_acceptable(head: &Head<'_>) -> Answer {
    let message = "only the following media types are accepted: \
                   application/json, application/yaml, application/vnd.kubernetes.protobuf";
    Status::failure(406, "NotAcceptable", message.to_owned()).answer(head)
}

/// Takes the first clause, by quality, that an endpoint can serve. `server_version` is the only `sv` it knows; `allows`
/// judges a media type with its transformation.
pub fn choose<'a>(
    head: &Head<'a>,
    server_version: &[u8],
    allows: impl Fn(Media, Option<&Convert<'_>>) -> bool,
) -> Option<Choice<'a>> {
    let accept = head.first("Accept").unwrap_or(b"");
    let asked_pretty = pretty(head);
    if accept.is_empty() {
        return Some(Choice { media: Media::Json, pretty: asked_pretty, convert: None });
    }
    for clause in clauses(accept) {
        for media in Media::ALL {
            if clause.fits(media)
                && clause.server_version.is_none_or(|version| version == server_version)
                && allows(media, clause.convert.as_ref())
            {
                let pretty = (clause.pretty || asked_pretty) && media == Media::Json;
                return Some(Choice { media, pretty, convert: clause.convert });
            }
        }
    }
    None
}

/// Whether the request wants indented JSON by its query or its agent.
fn pretty(head: &Head<'_>) -> bool {
    if let Some(value) = parameter(head.query, "pretty")
        && !value.is_empty()
    {
        return matches!(&*value, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = head.first("User-Agent").unwrap_or(b"");
    [&b"curl"[..], b"Wget", b"Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

/// The media types of a header, parameters cut off, blanks trimmed.
fn media_types(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|b| *b == b',').map(|clause| trimmed(clause.split(|b| *b == b';').next().unwrap_or(clause)))
}

/// One clause of `Accept`.
#[derive(Clone, Copy, Debug)]
struct Clause<'a> {
    main: &'a [u8],
    sub: &'a [u8],
    quality: f64,
    pretty: bool,
    stream: &'a [u8],
    server_version: Option<&'a [u8]>,
    convert: Option<Convert<'a>>,
}

impl<'a> Clause<'a> {
    /// Reads a clause; `None` when it is no media type.
    fn read(text: &'a [u8]) -> Option<Clause<'a>> {
        let mut parts = text.split(|b| *b == b';');
        let mut types = trimmed(parts.next()?).split(|b| *b == b'/');
        let main = trimmed(types.next()?);
        let sub = match types.next() {
            Some(sub) if !sub.is_empty() => trimmed(sub),
            _ if main == b"*" => b"*",
            _ => return None,
        };
        if types.next().is_some_and(|rest| !rest.is_empty()) || types.next().is_some() {
            return None;
        }
        let mut clause = Clause {
            main,
            sub,
            quality: 1.0,
            pretty: false,
            stream: b"",
            server_version: None,
            convert: None,
        };
        for part in parts {
            clause.parameter(part);
        }
        Some(clause)
    }

    /// Reads one parameter; one without a value, or with two `=`, is ignored.
    fn parameter(&mut self, text: &'a [u8]) {
        let mut halves = text.split(|b| *b == b'=');
        let name = trimmed(halves.next().unwrap_or(b""));
        let raw = halves.next().unwrap_or(b"");
        if raw.is_empty() || halves.any(|rest| !rest.is_empty()) {
            return;
        }
        let value = trimmed(raw);
        match name {
            b"q" => {
                self.quality = f64::from(quality(raw).unwrap_or(0.0));
            }
            b"as" => self.convert.get_or_insert_default().kind = value,
            b"g" => self.convert.get_or_insert_default().group = value,
            b"v" => self.convert.get_or_insert_default().version = value,
            b"stream" => self.stream = value,
            b"sv" => self.server_version = Some(value).filter(|v| !v.is_empty()),
            b"pretty" => self.pretty = value == b"1",
            _ => {}
        }
    }

    /// Whether a media type is meant, by name or by wildcard; YAML cannot be streamed.
    fn fits(&self, media: Media) -> bool {
        let sub = media.content_type().as_bytes().get(12..).unwrap_or(b"");
        let named = self.main == b"application" && (self.sub == sub || self.sub == b"*");
        let streams = self.stream.is_empty() || (self.stream == b"watch" && media != Media::Yaml);
        streams && (named || (self.main == b"*" && self.sub == b"*"))
    }

    /// Whether a clause goes before another. Not a strict order: a concrete type also goes before a wildcard of
    /// better quality, and that is what the reference's insertion sort sees.
    fn goes_before(&self, other: &Clause<'_>) -> bool {
        self.quality > other.quality
            || (self.main != b"*" && other.main == b"*")
            || (self.sub != b"*" && other.sub == b"*")
    }
}

/// The clauses in the order in which they are tried; those beyond the limit are not looked at.
fn clauses(accept: &[u8]) -> Vec<Clause<'_>> {
    let mut sorted: Vec<Clause<'_>> = Vec::new();
    for text in accept.split(|b| *b == b',').take(ACCEPT_CLAUSES_MAX) {
        let Some(clause) = Clause::read(trimmed(text)) else { continue };
        let place = sorted.iter().rposition(|earlier| !clause.goes_before(earlier)).map_or(0, |at| at + 1);
        sorted.insert(place, clause);
    }
    sorted
}

/// A quality as Go's `ParseFloat` reads it, with `_` between digits; its hexadecimal floats are not read.
fn quality(raw: &[u8]) -> Option<f32> {
    let text = std::str::from_utf8(raw).ok()?;
    if !text.contains('_') {
        return text.parse().ok();
    }
    let between_digits = |at: usize| {
        let digit = |at: usize| raw.get(at).is_some_and(u8::is_ascii_digit);
        at.checked_sub(1).is_some_and(digit) && digit(at + 1)
    };
    text.match_indices('_').all(|(at, _)| between_digits(at)).then_some(())?;
    text.replace('_', "").parse().ok()
}

/// Without blanks at both ends.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
