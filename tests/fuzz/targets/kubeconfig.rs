//! Any bytes as a kubeconfig: credentials, or an error that is said.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("toplet-fuzz-kubeconfig-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    if let Err(error) = toplet::cluster::kubeconfig::load(&path) {
        assert!(!error.is_empty());
    }
});
