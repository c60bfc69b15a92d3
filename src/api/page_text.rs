//! Lines of the text exposition format 0.0.4, as the pages for scrapers write them.

/// The type that scrapers of the text format expect, letter for letter.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Lines of the exposition format.
pub(super) struct PageText<'a>(pub(super) &'a mut Vec<u8>);

impl PageText<'_> {
    pub(super) fn head(&mut self, [name, kind, help]: [&str; 3]) {
        self.push(&["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
    }

    pub(super) fn single(&mut self, head: [&str; 3], value: f64) {
        self.head(head);
        self.sample(&[head[0]], &[], value);
    }

    pub(super) fn by_kind(&mut self, name: &str, values: [u32; 4]) {
        for (kind, value) in ["containers", "nodes", "pods", "text_bytes"].into_iter().zip(values) {
            self.sample(&[name], &[("kind", kind)], value.into());
        }
    }

    /// One line; the name may come in parts.
    pub(super) fn sample(&mut self, name: &[&str], labels: &[(&str, &str)], value: f64) {
        self.series(name, labels);
        self.push(&[&number(value), "\n"]);
    }

    /// What stands before a value.
    pub(super) fn series(&mut self, name: &[&str], labels: &[(&str, &str)]) {
        self.push(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.push(&[if index == 0 { "{" } else { "," }, label, "=\""]);
            self.escaped(text);
            self.push(&["\""]);
        }
        self.push(&[if labels.is_empty() { " " } else { "} " }]);
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        node: Option<&str>,
        (bounds, counts, sum): (&[f64], impl Iterator<Item = u64>, f64),
    ) {
        let (node, mut total) = (node.map(|node| ("node", node)), 0);
        for (count, bound) in counts.zip(bounds.iter().copied().chain([f64::INFINITY])) {
            total += count;
            let bound = number(bound);
            let labels: Vec<_> = node.into_iter().chain([("le", &*bound)]).collect();
            self.sample(&[name, "_bucket"], &labels, total as f64);
        }
        self.sample(&[name, "_sum"], node.as_slice(), sum);
        self.sample(&[name, "_count"], node.as_slice(), total as f64);
    }

    pub(super) fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
    }

    /// A label value: backslash, quote and line end are escaped.
    fn escaped(&mut self, value: &str) {
        for byte in value.bytes() {
            match byte {
                b'\\' | b'"' => self.0.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                _ => self.0.push(byte),
            }
        }
    }
}

/// The shortest digits that read back the same.
pub(super) fn number(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}
