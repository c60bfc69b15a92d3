//! An OpenAPI document as a sequence of parts: a body that is sent without ever being held.
//!
//! A document is a sequence of parts: a head, its paths, its schemas, a tail. A part is written when there is room for
//! it, so a document costs one piece of memory while it is sent and nothing in between; its length and tag are computed
//! once, by writing it into a digest. What a part looks like is the matter of `form.rs`.

use super::form::{Json, OTHER_PATHS};
use super::paths::PATHS;
use super::schemas::{Model, SCHEMAS, Schema};
use crate::api::answer::{Pieces, Progress};
use crate::api::validators::Digest;
use crate::counters::Counters;
use crate::limits;
use crate::store::Store;
use std::sync::OnceLock;

/// A version of the API group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `v1`.
    V1,
    /// `v1beta1`.
    V1beta1,
}

/// All versions, in the order of discovery.
pub const VERSIONS: [Version; 2] = [Version::V1, Version::V1beta1];

impl Version {
    /// As in paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Version::V1 => "v1",
            Version::V1beta1 => "v1beta1",
        }
    }

    /// As in names of operations.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Version::V1 => "V1",
            Version::V1beta1 => "V1beta1",
        }
    }
}

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// OpenAPI 2.0, everything in one.
    V2,
    /// OpenAPI 3.0, one version of the group.
    V3(Version),
}

/// What is known of a document without writing it.
#[derive(Debug)]
pub struct Summary {
    /// 128 hexadecimal digits, in quotes.
    pub tag: String,
    /// Bytes.
    pub len: usize,
}

impl Summary {
    /// The tag without its quotes.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.tag.trim_matches('"')
    }
}

static SUMMARIES: [OnceLock<Summary>; 3] = [const { OnceLock::new() }; 3];

impl Document {
    /// Length and tag; computed on first use.
    pub fn summary(self) -> &'static Summary {
        let [v2, v1, v1beta1] = &SUMMARIES;
        let summary = match self {
            Document::V2 => v2,
            Document::V3(Version::V1) => v1,
            Document::V3(Version::V1beta1) => v1beta1,
        };
        summary.get_or_init(|| {
            let (mut digest, mut len, mut part) = (Digest::new(), 0, Vec::new());
            for index in 0.. {
                part.clear();
                if !self.write_part(index, &mut part) {
                    break;
                }
                digest.feed(&part);
                len += part.len();
            }
            Summary { tag: format!("\"{}\"", digest.hex()), len }
        })
    }

    /// The document as a body.
    #[must_use]
    pub fn pieces(self) -> Box<dyn Pieces> {
        Box::new(Parts { document: self, index: 0 })
    }

    /// Appends one part; `false` beyond the last.
    pub(super) fn write_part(self, index: usize, out: &mut Vec<u8>) -> bool {
        let mut json = Json { out, document: self };
        let Some(index) = index.checked_sub(1) else {
            json.head();
            return true;
        };
        let (paths, schemas) = (self.path_count(), self.schemas().count());
        let comma = if index == 0 || index == paths { "" } else { "," };
        if index < paths {
            json.push(&[comma]);
            json.path(index);
            return true;
        }
        let index = index - paths;
        if let Some((schema, version)) = self.schemas().nth(index) {
            if index == 0 {
                json.push(&[match self {
                    Document::V2 => r#"},"definitions":{"#,
                    Document::V3(_) => r#"},"components":{"schemas":{"#,
                }]);
            }
            json.push(&[comma]);
            json.schema(schema, version);
            return true;
        }
        if index == schemas {
            json.push(&[if self == Document::V2 { "}}" } else { "}}}" }]);
        }
        index == schemas
    }

    fn path_count(self) -> usize {
        match self {
            Document::V2 => PATHS.len() * VERSIONS.len() + OTHER_PATHS.len(),
            Document::V3(_) => PATHS.len(),
        }
    }

    /// The schemas in order, those of the Metrics API with their version.
    fn schemas(self) -> impl Iterator<Item = (&'static Schema, Version)> {
        SCHEMAS.iter().flat_map(move |schema| {
            let versions: &[Version] = match self {
                Document::V3(_) if schema.only_v2 => &[],
                Document::V3(Version::V1) => &[Version::V1],
                Document::V3(Version::V1beta1) => &[Version::V1beta1],
                Document::V2 if matches!(schema.name, Model::Metrics(_)) => &VERSIONS,
                Document::V2 => &[Version::V1],
            };
            versions.iter().map(move |version| (schema, *version))
        })
    }
}

/// How far a document has been sent.
struct Parts {
    document: Document,
    index: usize,
}

impl Pieces for Parts {
    fn len(&self) -> Option<usize> {
        Some(self.document.summary().len)
    }

    fn next(&mut self, _store: &Store, _metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        let end = out.len() + limits::CHUNK_LEN_MAX - limits::PART_LEN_MAX;
        while out.len() <= end {
            if !self.document.write_part(self.index, out) {
                return Progress::Done;
            }
            self.index += 1;
        }
        Progress::More
    }
}
