//! Any file as a kubeconfig: an API server that can be asked, or an error that names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use toplet::cluster::kubeconfig::load;

/// A file in memory.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| toplet_fuzz::memory_file("kubeconfig"));

fuzz_target!(|input: &[u8]| {
    std::fs::write(&*FILE, input).unwrap();
    match load(&FILE) {
        Ok(access) => {
            let rest = access.server.strip_prefix("https://").or(access.server.strip_prefix("http://"));
            assert!(rest.is_some_and(|rest| !rest.is_empty() && !rest.ends_with('/')), "{}", access.server);
            assert!(!access.server.contains(['@', '?', '#', ' ', '\n']), "{}", access.server);
            assert_eq!(access.credentials.token_in_clear, access.server.starts_with("http:"));
            assert!(access.credentials.server_name.is_none_or(|name| !name.is_empty()));
        }
        Err(error) => assert!(error.contains(&*FILE.to_string_lossy()), "{error}"),
    }
});
