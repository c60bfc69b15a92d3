//! The Prometheus text exposition, as kubelets write it at `/metrics/resource`.
