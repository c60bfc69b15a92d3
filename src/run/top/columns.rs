//! Text in columns, as kubectl aligns it: each cell is padded with blanks to the widest of its column and three more, at least
//! six, the last cell of a line as well. Source: `cli-runtime` `pkg/printers/tabwriter.go`.

const WIDTH_MIN: usize = 6;
const PADDING: usize = 3;

/// Lines of cells.
#[derive(Default)]
pub struct AlignedText {
    lines: Vec<Vec<String>>,
}

impl AlignedText {
    /// Adds a line.
    pub fn push(&mut self, cells: Vec<String>) {
        self.lines.push(cells);
    }

    /// Appends the lines, aligned.
    pub fn write(&self, out: &mut String) {
        let count = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let len = |cell: &String| cell.chars().count();
        let width =
            |nth: usize| self.lines.iter().filter_map(|line| line.get(nth)).map(len).max().unwrap_or(0);
        let widths: Vec<usize> =
            (0..count).map(|nth| width(nth).saturating_add(PADDING).max(WIDTH_MIN)).collect();
        for line in &self.lines {
            for (cell, width) in line.iter().zip(&widths) {
                out.push_str(cell);
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(len(cell))));
            }
            out.push('\n');
        }
    }
}

/// A text of a server without what a terminal would obey.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
