//! What a step found, and findings as text and JSON.

use crate::api::encode_json;
use crate::cli::ReportForm;
use crate::limits;
use std::fmt::{Display, Write};

/// The steps. Their names in JSON are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoctorStep {
    /// Flags and the files that they name.
    Configuration,
    /// The API server answers and accepts our credentials.
    ApiServer,
    /// What our user may do there.
    Rights,
    /// Every node's kubelet, scraped once.
    Nodes,
    /// Keys of kubelets that are pinned.
    Pins,
    /// This machine's own figures, in host-only mode.
    Machine,
    /// The toplet that runs here, and whether what it has is fresh.
    Freshness,
    /// How the metrics API is registered.
    ApiService,
    /// A request through the API server, as kubectl sends it.
    Aggregation,
    /// When certificates end.
    Certificates,
    /// Clocks of others, compared with ours.
    Clock,
}

impl DoctorStep {
    /// Steps that need a cluster's clients.
    pub const OF_CLUSTER: [DoctorStep; 5] = [
        DoctorStep::ApiServer,
        DoctorStep::Rights,
        DoctorStep::Nodes,
        DoctorStep::ApiService,
        DoctorStep::Aggregation,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            DoctorStep::Configuration => "configuration",
            DoctorStep::ApiServer => "api-server",
            DoctorStep::Rights => "rights",
            DoctorStep::Nodes => "nodes",
            DoctorStep::Pins => "pins",
            DoctorStep::Machine => "machine",
            DoctorStep::Freshness => "freshness",
            DoctorStep::ApiService => "apiservice",
            DoctorStep::Aggregation => "aggregation",
            DoctorStep::Certificates => "certificates",
            DoctorStep::Clock => "clock",
        }
    }
}

/// How a step ended for one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// As it should be.
    Ok,
    /// It works, and will not for long or not for all.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be checked.
    Skipped,
}

impl StepResult {
    const fn name(self) -> &'static str {
        match self {
            StepResult::Ok => "ok",
            StepResult::Warning => "warning",
            StepResult::Failed => "failed",
            StepResult::Skipped => "skipped",
        }
    }
}

/// What a step found about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    step: DoctorStep,
    result: StepResult,
    /// Node, file, flag or URL; empty when it is the step itself.
    subject: String,
    message: String,
    /// What to do; empty when all is well.
    remedy: String,
}

impl Finding {
    fn new(step: DoctorStep, result: StepResult, texts: [&dyn Display; 3]) -> Finding {
        let [subject, message, remedy] = texts.map(one_line);
        Finding { step, result, subject, message, remedy }
    }

    pub fn ok(step: DoctorStep, subject: impl Display, message: impl Display) -> Finding {
        Finding::new(step, StepResult::Ok, [&subject, &message, &""])
    }

    pub fn warning(
        step: DoctorStep,
        subject: impl Display,
        message: impl Display,
        remedy: impl Display,
    ) -> Finding {
        Finding::new(step, StepResult::Warning, [&subject, &message, &remedy])
    }

    pub fn failed(
        step: DoctorStep,
        subject: impl Display,
        message: impl Display,
        remedy: impl Display,
    ) -> Finding {
        Finding::new(step, StepResult::Failed, [&subject, &message, &remedy])
    }

    pub fn skipped(step: DoctorStep, subject: impl Display, message: impl Display) -> Finding {
        Finding::new(step, StepResult::Skipped, [&subject, &message, &""])
    }

    /// The same with something to do about it.
    pub fn with_remedy(mut self, remedy: impl Display) -> Finding {
        self.remedy = one_line(&remedy);
        self
    }

    pub fn is_ok(&self) -> bool {
        self.result == StepResult::Ok
    }

    pub fn is_failed(&self) -> bool {
        self.result == StepResult::Failed
    }
}

/// A text on one line, bounded, and without orders to a terminal: messages repeat what others sent.
fn one_line(text: &dyn Display) -> String {
    let text = text.to_string();
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(limits::DOCTOR_TEXT_LEN_MAX).collect()
}

/// Whether nothing failed.
pub fn serves(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| !finding.is_failed())
}

/// The findings as a text or a document.
pub fn render(findings: &[Finding], form: ReportForm) -> String {
    match form {
        ReportForm::Text => text(findings),
        ReportForm::Json => json(findings),
    }
}

fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for Finding { step, result, subject, message, remedy } in findings {
        let space = if subject.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<8} {}{space}{subject}: {message}", result.name(), step.name());
        if !remedy.is_empty() {
            let _ = writeln!(out, "         -> {remedy}");
        }
    }
    let failed = findings.iter().filter(|finding| finding.is_failed()).count();
    let _ = match failed {
        0 => writeln!(out, "nothing failed"),
        1 => writeln!(out, "1 check failed"),
        _ => writeln!(out, "{failed} checks failed"),
    };
    out
}

fn json(findings: &[Finding]) -> String {
    let mut out = format!("{{\"serves\":{},\"findings\":[", serves(findings)).into_bytes();
    for (at, finding) in findings.iter().enumerate() {
        let Finding { step, result, subject, message, remedy } = finding;
        out.extend_from_slice(if at == 0 { b"\n{" } else { b",\n{" });
        let fields = [
            ("step", step.name()),
            ("status", result.name()),
            ("subject", subject),
            ("message", message),
            ("remedy", remedy),
        ];
        for (at, (name, value)) in fields.into_iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            encode_json::string(&mut out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"\n]}\n");
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_others_sent() {
        let hostile = format!("a\nok       x\u{1b}[2J\"{}", "y".repeat(limits::DOCTOR_TEXT_LEN_MAX));
        let findings = [Finding::failed(DoctorStep::Nodes, "n\r1", &hostile, "do\nthis")];
        let text = render(&findings, ReportForm::Text);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains('\u{1b}') && text.len() < 2 * limits::DOCTOR_TEXT_LEN_MAX);
        let json = render(&findings, ReportForm::Json);
        assert!(json.contains("\"subject\":\"n 1\"") && json.contains("[2J\\\""), "{json}");
        assert!(json.starts_with("{\"serves\":false,"));
    }

    #[test]
    fn only_a_failure_keeps_it_from_serving() {
        let others = [
            Finding::ok(DoctorStep::Nodes, "", ""),
            Finding::warning(DoctorStep::Clock, "", "", ""),
            Finding::skipped(DoctorStep::Rights, "", ""),
        ];
        assert!(serves(&others));
        assert!(!serves(&[Finding::failed(DoctorStep::Nodes, "", "", "")]));
    }
}
