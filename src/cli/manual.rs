//! The manual page `toplet(1)`, made from the flag tables; `configs/toplet.1` is what it gives.

use super::flags::{Effect, FLAGS, FlagTable, SUBCOMMANDS};
use super::top::TOP_FLAGS;
use std::fmt::Write;

/// The page, as roff with the macros of man(7).
#[must_use]
pub fn page() -> String {
    let mut out = String::from(
        ".\\\" Made from the flag tables: TIDY_WRITE=1 cargo test --test tidy\n.TH TOPLET 1 \"\" \"toplet ",
    );
    out.push_str(concat!(env!("CARGO_PKG_VERSION"), "\" \"User Commands\"\n"));
    out.push_str(
        ".SH NAME\ntoplet \\- the Kubernetes Metrics API for small machines\n.SH SYNOPSIS\n.B toplet\n[\\fIflags\\fR]\n",
    );
    for (name, _) in SUBCOMMANDS {
        let argument = match name {
            "manifest" => "\\fIkind\\fR",
            "completion" => "\\fIshell\\fR",
            "top" => "[node | pod] [\\fIname\\fR] [\\fIflags\\fR]",
            _ => "[\\fIflags\\fR]",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, ".br\n.B toplet {name}\n{argument}");
    }
    out.push_str(
        ".SH DESCRIPTION\nAnswers kubectl top and the HorizontalPodAutoscaler: reads the kubelets of a cluster and serves their usage as \
         metrics.k8s.io. Without a cluster it serves the usage of this machine.\n.SH COMMANDS\n",
    );
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(out, ".TP\n.B {name}\n{}", roff(help));
    }
    out.push_str(".SH FLAGS\n");
    flags(&mut out, FLAGS);
    out.push_str(".SH FLAGS OF TOPLET TOP\n");
    flags(&mut out, TOP_FLAGS);
    out.push_str(
        ".SH FLAGS WITHOUT EFFECT\nAccepted, so that the argument lists of metrics\\-server start; toplet \\-\\-help names them and says \
         why.\n\
         .SH EXIT STATUS\n0: stopped by a signal, or printed. 1: the environment, such as a port in use; a restart can heal it. \
         2: a mistake in the flags.\n\
         .SH FILES\n/etc/toplet/toplet.conf: flags of the service, one a line.\n.br\n/run/toplet/toplet.sock: the local socket, for \
         the group toplet.\n\
         .SH ENVIRONMENT\nNO_COLOR: when it is set, toplet top \\-\\-watch uses no colours.\n\
         .SH SIGNALS\nSIGHUP: read certificates and keys again. SIGTERM: answer what has been asked, then end.\n",
    );
    out
}

fn flags(out: &mut String, table: FlagTable) {
    for flag in table.iter().filter(|flag| flag.effect != Effect::Ignored) {
        let short = flag.short.map(|letter| format!("\\-{letter}, ")).unwrap_or_default();
        let _ = writeln!(out, ".TP\n.B {short}\\-\\-{}\n{}", roff(flag.name), roff(flag.help));
        let default = flag.default_text();
        if !default.is_empty() {
            let _ = writeln!(out, "Default: {}.", roff(&default));
        }
    }
}

/// A text that roff prints as it is.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('`', "").replace('-', "\\-").replace('\'', "\\(aq")
}
