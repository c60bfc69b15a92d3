//! What an administrator can do about a scrape that failed. A remedy knows what is in force: it never names a flag that
//! is set already, and says what was presented to the kubelet.

use super::address::KubeletPath;
use crate::net::fetch::Reason;
use std::borrow::Cow;

/// How the certificate of a kubelet is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeletVerification {
    /// Against the cluster's authority.
    ClusterAuthority,
    /// Against the file of `--kubelet-certificate-authority`.
    AuthorityFile,
    /// By the key that was seen first (`--kubelet-pin`).
    Pinned,
    /// Not at all (`--kubelet-insecure-tls`).
    Off,
    /// There is none: plain HTTP.
    PlainHttp,
    /// By the API server, whose node proxy is asked.
    Proxied,
}

/// What requests to kubelets present and verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KubeletTerms {
    /// A bearer token is sent.
    pub token: bool,
    /// A client certificate is presented.
    pub certificate: bool,
    /// How the kubelet is verified.
    pub verification: KubeletVerification,
}

/// The remedy for a failed scrape of an endpoint.
#[must_use]
pub fn remedy(reason: Reason, endpoint: KubeletPath, terms: KubeletTerms) -> Cow<'static, str> {
    if terms.verification == KubeletVerification::Proxied {
        return proxied(reason).into();
    }
    let text = match reason {
        Reason::Dns => {
            "check the name and the name servers, or prefer addresses over names: \
             --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname"
        }
        Reason::Refused => {
            "check that the kubelet runs and that this is its port (--kubelet-use-node-status-port, --kubelet-port)"
        }
        Reason::Timeout => {
            "check that the node is up and that a firewall or network policy lets this machine reach the kubelet's port"
        }
        Reason::Untrusted => return untrusted(terms.verification).into(),
        Reason::NotForServers => {
            "issue the kubelet's serving certificate again with extendedKeyUsage=serverAuth, or without that extension"
        }
        Reason::KeyChanged => {
            "if the kubelet's key was renewed on purpose, forget the old one: toplet doctor --forget-pin NODE with the flags \
             of the server; else find out what answers at the node's address"
        }
        Reason::WrongName => return wrong_name(terms.verification).into(),
        Reason::Expired => "renew the kubelet's serving certificate, and compare the clocks of both machines",
        Reason::Tls => {
            "check that this is the kubelet's https port (--kubelet-port), and see the kubelet's log"
        }
        Reason::Unauthorized => return unauthorized(terms).into(),
        Reason::Forbidden if endpoint == KubeletPath::Summary => {
            "this kubelet has no /metrics/resource: allow \"get\" on \"nodes/stats\" to our user (ClusterRole), so that its \
             Summary API can be read"
        }
        Reason::Forbidden => {
            "allow \"get\" on \"nodes/metrics\" to our user (ClusterRole), and check that the kubelet can reach the API server"
        }
        Reason::NotFound => {
            "this kubelet has neither resource metrics nor a Summary at these paths: set the annotation metrics.k8s.io/resource-metrics-path, or leave the node out \
             with --node-selector"
        }
        Reason::Redirect => "redirects are not followed: check that the node's address points at its kubelet",
        Reason::TooLarge | Reason::Body => "check that the node's address and port point at its kubelet",
        Reason::Empty => "the kubelet has no samples: see its log (runtime statistics, cgroups)",
        Reason::Gone | Reason::Busy | Reason::ServerTimeout | Reason::Status => "see the kubelet's log",
        Reason::Disconnected | Reason::Io => {
            "see the kubelet's log, and check the network between it and this machine"
        }
    };
    text.into()
}

/// What helps behind the node proxy, where the API server answers for kubelets it cannot reach.
const fn proxied(reason: Reason) -> &'static str {
    match reason {
        Reason::Forbidden => "allow \"get\" on \"nodes/proxy\" to our user (ClusterRole)",
        Reason::Unauthorized => {
            "the API server does not accept our credential, or the kubelet the API server's (--kubelet-client-certificate of \
             kube-apiserver)"
        }
        Reason::NotFound => {
            "this node is unknown to the API server, or its kubelet has neither resource metrics nor a Summary: see the \
             annotation metrics.k8s.io/resource-metrics-path"
        }
        Reason::Busy | Reason::ServerTimeout | Reason::Status => {
            "the API server cannot reach the kubelet: kubectl logs of a pod there should fail too; see the node's address in \
             kubectl get node -o wide, and the API server's log"
        }
        Reason::Empty => "the kubelet has no samples: see its log (runtime statistics, cgroups)",
        _ => {
            "the API server's node proxy was asked: check that the API server is up, and its address and certificate"
        }
    }
}

const fn untrusted(verification: KubeletVerification) -> &'static str {
    match verification {
        KubeletVerification::ClusterAuthority => {
            "give the authority that signed the kubelets' certificates with --kubelet-certificate-authority, let kubelets \
             request signed ones (serverTLSBootstrap: true), or, for a test, --kubelet-insecure-tls"
        }
        KubeletVerification::AuthorityFile => {
            "add the authority that signed this kubelet's certificate to the file of --kubelet-certificate-authority, or \
             let kubelets request signed ones (serverTLSBootstrap: true)"
        }
        KubeletVerification::Pinned => {
            "see that the state directory can be written, and that --max-nodes is enough for every node that was ever pinned"
        }
        KubeletVerification::Off | KubeletVerification::PlainHttp | KubeletVerification::Proxied => {
            "renew the kubelet's serving certificate"
        }
    }
}

const fn wrong_name(verification: KubeletVerification) -> &'static str {
    match verification {
        KubeletVerification::ClusterAuthority | KubeletVerification::AuthorityFile => {
            "let kubelets request certificates that name their addresses (serverTLSBootstrap: true), or prefer an address \
             that is named (--kubelet-preferred-address-types)"
        }
        KubeletVerification::Pinned
        | KubeletVerification::Off
        | KubeletVerification::PlainHttp
        | KubeletVerification::Proxied => "renew the kubelet's serving certificate",
    }
}

const fn unauthorized(terms: KubeletTerms) -> &'static str {
    match (terms.token, terms.certificate) {
        _ if matches!(terms.verification, KubeletVerification::PlainHttp) => {
            "nothing is presented over plain HTTP (--deprecated-kubelet-completely-insecure): use https"
        }
        (true, false) => {
            "a token was presented: check that the kubelet reviews tokens (authentication.webhook.enabled) and can reach \
             the API server, and that the token has not expired"
        }
        (false, true) => {
            "a client certificate was presented: check that the kubelet's authentication.x509.clientCAFile holds its \
             authority and that it has not expired"
        }
        (true, true) => {
            "a token and a client certificate were presented: check the kubelet's authentication.webhook.enabled and \
             authentication.x509.clientCAFile, and that neither has expired"
        }
        (false, false) => {
            "nothing was presented: use a kubeconfig with a token or client certificate, or --kubelet-client-certificate"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: [Reason; 9] = [
        Reason::Dns,
        Reason::Refused,
        Reason::Untrusted,
        Reason::NotForServers,
        Reason::WrongName,
        Reason::Unauthorized,
        Reason::Forbidden,
        Reason::NotFound,
        Reason::Tls,
    ];

    #[test]
    fn a_flag_in_force_is_never_the_remedy() {
        for (verification, flag) in [
            (KubeletVerification::Off, "--kubelet-insecure-tls"),
            (KubeletVerification::PlainHttp, "--kubelet-insecure-tls"),
            (KubeletVerification::AuthorityFile, "with --kubelet-certificate-authority"),
        ] {
            for reason in REASONS {
                let text = remedy(
                    reason,
                    KubeletPath::Resource,
                    KubeletTerms { token: true, certificate: true, verification },
                );
                assert!(!text.contains(flag), "{text}");
            }
        }
    }

    #[test]
    fn what_was_presented_is_named() {
        let text = |token, certificate| {
            let verification = KubeletVerification::ClusterAuthority;
            remedy(
                Reason::Unauthorized,
                KubeletPath::Resource,
                KubeletTerms { token, certificate, verification },
            )
        };
        assert!(text(true, false).starts_with("a token was presented"));
        assert!(text(false, true).starts_with("a client certificate was presented"));
        assert!(text(true, true).starts_with("a token and a client certificate were presented"));
        assert!(text(false, false).contains("--kubelet-client-certificate"));
    }
}
