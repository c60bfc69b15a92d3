//! The parts that the page consists of, and its style. Every text is escaped here.

use crate::limits;
use crate::wire::text;

/// What the page may load: its own style.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
     style-src 'sha256-+HXniZmUgneWp0KCSZT4z+pnaONI43pGR/hGtSDUEZA='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The style of the page.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--f:#1b1f24;--b:#fff;--l:#d0d7de;--m:#57606a;--a:#0550ae;--c:#0a7d4f;--e:#a40e26}\
@media(prefers-color-scheme:dark){:root{--f:#e6edf3;--b:#0d1117;--l:#30363d;--m:#9da7b1;--a:#79c0ff;--c:#56d4a0;--e:#ff9e9e}}\
body{margin:0 auto;padding:.5em 1em 2em;max-width:75em;font:15px/1.4 system-ui,sans-serif;color:var(--f);background:var(--b)}\
h1{font-size:1.5em;margin:.3em 0 0}\
h2{font-size:1.15em;margin:1.2em 0 0}\
p{margin:.3em 0;color:var(--m)}\
a{color:var(--a)}\
div{overflow-x:auto}\
div+div{margin-top:.8em}\
table{border-collapse:collapse;width:100%}\
caption{text-align:left;font-size:.85em;color:var(--m)}\
th,td{text-align:left;vertical-align:top;padding:.3em .8em .3em 0;border-bottom:1px solid var(--l);font-weight:400}\
thead th{color:var(--m);font-size:.85em;white-space:nowrap}\
tbody th{font-weight:600;overflow-wrap:anywhere;min-width:min(38vw,19em)}\
td{white-space:nowrap}\
.n{text-align:right;font-variant-numeric:tabular-nums}\
.w{white-space:normal;color:var(--e);overflow-wrap:anywhere;margin:0;max-width:calc(100vw - 3em)}\
small{display:block;font-weight:400;color:var(--m)}\
svg{display:block;width:7em;height:1.5em}\
path{fill:none;stroke:var(--c);stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round;vector-effect:non-scaling-stroke}";

/// A page under way.
pub(super) struct Html<'a>(pub(super) &'a mut Vec<u8>);

impl Html<'_> {
    /// Text of this source: it may be markup.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.extend_from_slice(markup.as_bytes());
    }

    /// Any text, cut where it is too long for a row.
    pub(super) fn text(&mut self, text: &str) {
        let shown = text::cut(text, limits::STATUS_TEXT_LEN_MAX);
        for byte in shown.bytes() {
            match byte {
                b'&' => self.raw("&amp;"),
                b'<' => self.raw("&lt;"),
                b'>' => self.raw("&gt;"),
                b'"' => self.raw("&#34;"),
                b'\'' => self.raw("&#39;"),
                0..0x20 | 0x7f => self.0.push(b' '),
                _ => self.0.push(byte),
            }
        }
        if shown.len() < text.len() {
            self.raw("…");
        }
    }

    /// A heading, which may be longer than the screen is wide.
    pub(super) fn heading(&mut self, text: &str) {
        self.raw("<h2>");
        self.text(text);
        self.raw("</h2>");
    }

    /// A table that can be scrolled by itself, up to the cells of its head.
    pub(super) fn table(&mut self, caption: &str) {
        self.raw("<div role=\"region\" tabindex=\"0\" aria-label=\"");
        self.text(caption);
        self.raw("\"><table><caption>");
        self.text(caption);
        self.raw("</caption><thead><tr>");
    }

    /// Heads of columns; those of numbers are to the right.
    pub(super) fn heads(&mut self, names: &[(&str, bool)]) {
        for (name, is_number) in names {
            self.raw(if *is_number { "<th scope=\"col\" class=\"n\">" } else { "<th scope=\"col\">" });
            self.text(name);
            self.raw("</th>");
        }
    }

    /// The end of a table's head; rows follow.
    pub(super) fn rows(&mut self) {
        self.raw("</tr></thead><tbody>");
    }

    /// The end of a table.
    pub(super) fn table_end(&mut self) {
        self.raw("</tbody></table></div>");
    }

    /// The begin of a row, with its name.
    pub(super) fn row(&mut self, name: &str) {
        self.raw("<tr><th scope=\"row\">");
        self.text(name);
        self.raw("</th>");
    }

    /// A cell with a number.
    pub(super) fn number(&mut self, text: &str) {
        self.raw("<td class=\"n\">");
        self.text(text);
        self.raw("</td>");
    }
}
