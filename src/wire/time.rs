//! RFC 3339 times and Go durations, as Kubernetes prints and reads them.
