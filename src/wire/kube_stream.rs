//! Lists and watches of the API server, cut into objects as their bytes arrive in pieces of any size.
//!
//! A list is `k8s\0`, `runtime.Unknown{typeMeta, raw}`, where raw is `{1 ListMeta, 2 items}` in any order; a watch is
//! frames of a 4-byte big-endian length and a `WatchEvent`. An object within one piece is decoded in place; one cut by
//! a piece's end is gathered first. Memory: one object, at most `limits::OBJECT_LEN_MAX`; a larger one is skipped in a
//! list and ends a watch. Source: `k8s.io/apimachinery` `pkg/runtime/serializer/protobuf`, `pkg/util/framer`.

use super::kube_objects::{Kind, ObjectError, Versioned, WatchEvent, watch_event};
use super::protobuf::{FieldHead, Fields, MAGIC, Malformed, WireKind, head};
use crate::limits;

/// Gathers units (whose length their first bytes tell) from pieces.
#[derive(Default)]
struct Gather {
    bytes: Vec<u8>,
    /// `bytes` is a whole unit that was handed out.
    handed_out: bool,
}

impl Gather {
    /// The next unit, from `rest` in place if it is whole there. `unit_len` tells a unit's length from its first
    /// bytes, `None` when they are too few; a unit is never empty.
    fn next<'s, 'p: 's>(
        &'s mut self,
        rest: &mut &'p [u8],
        unit_len: impl Fn(&[u8]) -> Result<Option<usize>, ObjectError>,
    ) -> Result<Option<&'s [u8]>, ObjectError> {
        self.give_back();
        if self.bytes.is_empty()
            && let Some(len) = unit_len(rest)?
            && let Some((unit, after)) = rest.split_at_checked(len)
        {
            *rest = after;
            return Ok(Some(unit));
        }
        loop {
            let taken = match unit_len(&self.bytes)? {
                Some(len) if len <= self.bytes.len() => {
                    self.handed_out = true;
                    return Ok(Some(&self.bytes));
                }
                Some(len) => rest.len().min(len - self.bytes.len()),
                // One byte at a time, so that nothing beyond the unit's head is taken.
                None => rest.len().min(1),
            };
            let Some((now, after)) = rest.split_at_checked(taken).filter(|_| taken > 0) else {
                return Ok(None);
            };
            self.bytes.extend_from_slice(now);
            *rest = after;
        }
    }

    fn give_back(&mut self) {
        if !self.handed_out {
            return;
        }
        self.handed_out = false;
        if self.bytes.capacity() > limits::OBJECT_SCRATCH_LEN_KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }

    /// Whether the stream may end here.
    fn is_between_units(&self) -> bool {
        self.handed_out || self.bytes.is_empty()
    }
}

/// What a list says at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListEnd {
    /// `metadata.resourceVersion`: where a watch begins.
    pub resource_version: String,
    /// `metadata.continue`; empty on the last page.
    pub continue_token: String,
    /// Objects that were left out: too large, or not valid.
    pub skipped: u32,
}

/// Decodes a list, object by object.
#[derive(Default)]
pub struct ListDecoder {
    gather: Gather,
    list: List,
}

/// Where in the list the next unit is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Before the magic bytes.
    #[default]
    Start,
    /// In the fields of the envelope.
    Envelope,
    /// In the list's own fields; so many bytes are left of them.
    Items(u64),
}

#[derive(Default)]
struct List {
    place: Place,
    /// Bytes to pass over.
    skip: u64,
    kind: Option<Kind>,
    listed: bool,
    end: ListEnd,
}

impl ListDecoder {
    /// Takes one piece and hands out every object that is complete with it.
    /// # Errors
    /// The body is not a list of nodes or pods; reading on is useless.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(Versioned<'_>)) -> Result<(), ObjectError> {
        let mut rest = piece;
        loop {
            let list = &mut self.list;
            let skipped = usize::try_from(list.skip).unwrap_or(usize::MAX).min(rest.len());
            rest = rest.get(skipped..).ok_or(Malformed)?;
            list.skip -= skipped as u64;
            if list.skip > 0 {
                return Ok(());
            }
            let Some(unit) = self.gather.next(&mut rest, |prefix| list.unit_len(prefix))? else {
                return Ok(());
            };
            list.take(unit, &mut each)?;
        }
    }

    /// Ends the body.
    /// # Errors
    /// The body ended too early.
    pub fn finish(self) -> Result<ListEnd, ObjectError> {
        let list = self.list;
        let whole = list.place == Place::Envelope && list.skip == 0 && list.listed;
        if whole && self.gather.is_between_units() { Ok(list.end) } else { Err(ObjectError::Truncated) }
    }
}

impl List {
    /// Fields that are taken whole; of all others only the head is taken and the payload passed over.
    fn is_taken_whole(&self, head: &FieldHead) -> bool {
        let number = head.number;
        let wanted = match self.place {
            Place::Items(_) => number <= 2,
            _ => number == 1,
        };
        wanted && head.kind == WireKind::Len && head.payload_len <= limits::OBJECT_LEN_MAX as u64
    }

    fn unit_len(&self, prefix: &[u8]) -> Result<Option<usize>, ObjectError> {
        if self.place == Place::Start {
            return Ok(Some(MAGIC.len()));
        }
        let Some(head) = head(prefix)? else { return Ok(None) };
        if let Place::Items(left) = self.place
            && (head.len as u64).checked_add(head.payload_len).is_none_or(|len| len > left)
        {
            return Err(ObjectError::Malformed);
        }
        let payload_len = usize::try_from(head.payload_len).unwrap_or(usize::MAX);
        Ok(Some(if self.is_taken_whole(&head) { head.len.saturating_add(payload_len) } else { head.len }))
    }

    fn take(&mut self, unit: &[u8], each: &mut impl FnMut(Versioned<'_>)) -> Result<(), ObjectError> {
        if self.place == Place::Start {
            self.place = Place::Envelope;
            return if unit == MAGIC { Ok(()) } else { Err(ObjectError::NotProtobuf) };
        }
        let head = head(unit)?.ok_or(Malformed)?;
        let whole = self.is_taken_whole(&head);
        let payload = unit.get(head.len..).ok_or(Malformed)?;
        match (self.place, head.number) {
            (Place::Items(left), number) => {
                self.place = match left - head.len as u64 - head.payload_len {
                    0 => Place::Envelope,
                    left => Place::Items(left),
                };
                match number {
                    1 if whole => self.list_meta(payload)?,
                    2 if whole => self.item(payload, each),
                    2 => self.end.skipped = self.end.skipped.saturating_add(1),
                    _ => {}
                }
            }
            (_, 1) if whole => self.kind = Some(Kind::of_type_meta(payload)?),
            (_, 2) if head.kind == WireKind::Len => {
                self.kind.filter(|kind| *kind != Kind::Status).ok_or(ObjectError::UnexpectedKind)?;
                self.listed = true;
                if head.payload_len > 0 {
                    self.place = Place::Items(head.payload_len);
                }
                return Ok(());
            }
            _ => {}
        }
        if !whole {
            self.skip = head.payload_len;
        }
        Ok(())
    }

    fn list_meta(&mut self, message: &[u8]) -> Result<(), ObjectError> {
        for field in Fields::new(message) {
            match field? {
                (2, value) => value.text()?.clone_into(&mut self.end.resource_version),
                (3, value) => value.text()?.clone_into(&mut self.end.continue_token),
                _ => {}
            }
        }
        Ok(())
    }

    fn item(&mut self, message: &[u8], each: &mut impl FnMut(Versioned<'_>)) {
        match self.kind.ok_or(ObjectError::UnexpectedKind).and_then(|kind| kind.decode(message)) {
            Ok(object) => each(object),
            Err(_) => self.end.skipped = self.end.skipped.saturating_add(1),
        }
    }
}

/// Decodes a watch, event by event.
#[derive(Default)]
pub struct WatchDecoder {
    gather: Gather,
}

impl WatchDecoder {
    /// Takes one piece and hands out every event that is complete with it.
    /// # Errors
    /// The bytes are not events; reading on is useless, and events before the error were handed out.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(WatchEvent<'_>)) -> Result<(), ObjectError> {
        let mut rest = piece;
        while let Some(frame) = self.gather.next(&mut rest, frame_len)? {
            each(watch_event(frame.get(4..).ok_or(Malformed)?)?);
        }
        Ok(())
    }

    /// Whether the stream may end here: servers end watches between events.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        self.gather.is_between_units()
    }
}

/// Length of a frame with its 4-byte head.
fn frame_len(prefix: &[u8]) -> Result<Option<usize>, ObjectError> {
    let Some(head) = prefix.first_chunk::<4>() else { return Ok(None) };
    match usize::try_from(u32::from_be_bytes(*head)) {
        Ok(len) if len <= limits::OBJECT_LEN_MAX => Ok(Some(len + 4)),
        _ => Err(ObjectError::TooLarge),
    }
}

#[cfg(test)]
mod tests;
