//! The real program against fakes of its peers, one module for each subject.
//!
//! All are one binary, so that their waits overlap: most of them are kubelets and API servers that hang on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

mod access;
mod access_table;
mod api;
mod certificates;
mod check_configs;
mod cluster_mode;
mod doctor;
mod faults;
mod field_reports;
mod flags;
mod golden_answers;
mod host_only;
mod hostile;
mod kubelets;
mod lifecycle;
mod live_screen;
mod local_socket;
mod pins;
mod reviews;
mod serving_costs;
mod setup;
mod status;
mod support;
mod support_works;
mod top;
mod trust;
