//! Any headers of identity and impersonation, with any verdicts: a bounded number of well-formed questions, and nobody
//! acts without a yes. Input: lines as in `toplet_fuzz::head`; the last 4 bytes are the verdicts, a bit each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use toplet::access::review::{Question, Verdict};
use toplet::access::{Check, FrontProxySettings, Identity, Mode, Peer, Policy, Step, Trust};
use toplet::wire::request::RequestInfo;
use toplet::serve::http1;
use toplet::units::UnixNanos;

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::new(&FrontProxySettings::default(), None).unwrap());
const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);

/// A service account on a node, so that every mode of impersonation applies to somebody.
fn requestor() -> Identity {
    Identity {
        user: "system:serviceaccount:kube-system:agent".to_owned(),
        uid: "1".to_owned(),
        groups: vec!["system:serviceaccounts".to_owned()],
        extra: vec![("authentication.kubernetes.io/node-name".to_owned(), vec!["edge-1".to_owned()])],
    }
}

/// Answers one question.
fn verdict(question: &Question, yes: bool) -> Verdict {
    match question {
        Question::Token(_) if yes => Verdict::Known(requestor()),
        Question::Token(_) => Verdict::Unknown("no".to_owned()),
        Question::Access { spec, .. } => {
            let spec: serde_json::Value = serde_json::from_str(spec).unwrap();
            assert!(spec["resourceAttributes"].is_object() != spec["nonResourceAttributes"].is_object());
            assert!(spec["user"].as_str().is_some_and(|user| !user.is_empty()), "{spec}");
            if yes { Verdict::Allowed } else { Verdict::Denied("no".to_owned()) }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((lines, bits)) = input.split_last_chunk() else { return };
    let bits = u32::from_le_bytes(*bits);
    let bytes = toplet_fuzz::head(lines);
    let Ok(request) = http1::parse(&bytes) else { return };
    let (head, policy) = (request.head(), Policy { mode: Mode::Delegated, ..Policy::default() });
    let info = RequestInfo::new(&head);
    let (mut check, mut step) = Check::start(&TRUST, &policy, &mut Peer::new(Vec::new()), &head, &info, NOW);
    let count_max = 2 + 5 * (4 + request.headers.len());
    let mut allowed = 0;
    for count in 0.. {
        assert!(count <= count_max, "more than {count_max} questions");
        match step {
            Step::Ask(question) => {
                let yes = bits >> (count % 32) & 1 == 1;
                allowed += u32::from(yes && matches!(question, Question::Access { .. }));
                step = check.resume(&policy, &head, &info, verdict(&question, yes));
            }
            Step::Allowed(identity) => {
                assert!(allowed > 0, "{identity:?}");
                let wanted = head.first("Impersonate-User").unwrap_or_default();
                match std::str::from_utf8(wanted) {
                    Ok("") => {
                        assert!([requestor().user.as_str(), "system:anonymous"].contains(&&*identity.user))
                    }
                    Ok(wanted) => assert_eq!(identity.user, wanted),
                    Err(_) => assert!(identity.user.contains('\u{fffd}')),
                }
                return;
            }
            Step::Refused(answer, why) => {
                assert!(matches!(answer.status, 400 | 401 | 403 | 500), "{}", answer.status);
                secret_stays(&request, &bytes, &why);
                return;
            }
        }
    }
});

/// A token is in no reason, unless it is elsewhere in the request too.
fn secret_stays(request: &http1::Request<'_>, bytes: &[u8], why: &str) {
    let line = request.head().first("Authorization").and_then(|line| std::str::from_utf8(line).ok());
    let Some(token) = line.and_then(|line| line.split(' ').nth(1)).filter(|token| token.len() >= 12) else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    assert!(text.matches(token).count() > 1 || !why.contains(token), "{why}");
}
