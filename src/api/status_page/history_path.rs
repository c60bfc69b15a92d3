//! A history as the path of an SVG, and its least, largest and newest value.

use std::io::Write;

/// Width of a drawing: points beyond are merged, the largest of each group counts.
const POINTS_MAX: usize = 60;
/// Height of a drawing; the bottom is zero, the top the largest value. A line has half its width beyond.
const HEIGHT: u64 = 16;

/// Least, largest and newest of the values that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) least: u64,
    pub(super) largest: u64,
}

/// The extent of what is known; `None` when nothing is.
pub(super) fn extent(values: impl Iterator<Item = Option<u64>>) -> Option<Extent> {
    values.flatten().fold(None, |known: Option<Extent>, value| {
        Some(known.map_or(Extent { least: value, largest: value }, |known| Extent {
            least: known.least.min(value),
            largest: known.largest.max(value),
        }))
    })
}

/// Appends the drawing of `count` values up to `largest`; a gap in them is one in the line, and a value alone a point.
pub(super) fn draw(out: &mut Vec<u8>, values: impl Iterator<Item = Option<u64>>, count: usize, largest: u64) {
    let group = count.div_ceil(POINTS_MAX).max(1);
    let width = count.div_ceil(group).max(2) - 1;
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "<svg viewBox=\"0 -1 {width} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"",
        HEIGHT + 2
    );
    let mut line = Line::default();
    let mut values = values.take(count).peekable();
    for x in 0..=width {
        if values.peek().is_none() {
            break;
        }
        let Some(value) = values.by_ref().take(group).flatten().max() else {
            line.end(out);
            continue;
        };
        let height = u128::from(value) * u128::from(HEIGHT) / u128::from(largest.max(1));
        let height = u64::try_from(height).unwrap_or(HEIGHT).min(HEIGHT);
        line.point(out, x, (HEIGHT - height) as i32);
    }
    line.end(out);
    out.extend_from_slice(b"\"/></svg>");
}

/// A line under way. Each point is one to the right of the last, which as steps takes the fewest bytes: `l1-2 1 3h4`.
#[derive(Default)]
struct Line {
    /// The last point's height, once there is a point.
    last: Option<i32>,
    /// Points at that height that are not written yet.
    flat: usize,
    /// Something follows the first point.
    has_steps: bool,
    /// The next step needs no letter.
    in_steps: bool,
}

impl Line {
    fn point(&mut self, out: &mut Vec<u8>, x: usize, y: i32) {
        // Writing to a vector cannot fail.
        let _ = match self.last.replace(y) {
            None => write!(out, "M{x} {y}"),
            Some(last) if last == y => {
                self.flat += 1;
                return;
            }
            Some(last) => {
                self.level(out);
                let letter = if std::mem::replace(&mut self.in_steps, true) { " " } else { "l" };
                let step = y - last;
                let blank = if step < 0 { "" } else { " " };
                self.has_steps = true;
                write!(out, "{letter}1{blank}{step}")
            }
        };
    }

    /// Writes the points at one height.
    fn level(&mut self, out: &mut Vec<u8>) {
        if self.flat > 0 {
            let _ = write!(out, "h{}", self.flat);
            (self.flat, self.has_steps, self.in_steps) = (0, true, false);
        }
    }

    /// Ends the line. One of a single point has no length, and is drawn as the round end of one.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.level(out);
        if self.last.is_some() && !self.has_steps {
            out.extend_from_slice(b"h0");
        }
        *self = Line::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(values: &[Option<u64>]) -> String {
        let largest = extent(values.iter().copied()).map_or(0, |extent| extent.largest);
        let mut out = Vec::new();
        draw(&mut out, values.iter().copied(), values.len(), largest);
        let text = String::from_utf8(out).unwrap();
        text.split_once("d=\"").unwrap().1.split_once('"').unwrap().0.to_owned()
    }

    #[test]
    fn a_gap_is_a_gap_and_a_lone_value_a_point() {
        assert_eq!(path(&[]), "");
        assert_eq!(path(&[None, None]), "");
        assert_eq!(path(&[Some(0), Some(8), Some(16)]), "M0 16l1-8 1-8");
        assert_eq!(path(&[None, Some(1), None, Some(2), Some(2)]), "M1 8h0M3 0h1");
        assert_eq!(path(&[Some(0), Some(0)]), "M0 16h1", "nothing used is a line at the bottom");
        assert_eq!(path(&[Some(u64::MAX), Some(u64::MAX / 2)]), "M0 0l1 9");
    }

    #[test]
    fn a_long_history_has_no_more_points_and_keeps_its_peaks() {
        let mut values = vec![Some(1); 1_440];
        values[700] = Some(16);
        let path = path(&values);
        assert_eq!(path, "M0 15h28l1-15 1 15h29");
        let zigzag: Vec<_> = (0..60).map(|n| Some(n % 2)).collect();
        assert!(self::path(&zigzag).len() < 60 * 5 + 8, "{}", self::path(&zigzag));
    }
}
