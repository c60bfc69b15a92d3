//! What `/etc/resolv.conf` and `/etc/hosts` say. Pure: text in, values out.
//!
//! Unknown keywords and options are ignored, as the C library does. Source: resolv.conf(5), hosts(5).

use crate::limits;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Whom to ask, and with which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverConfig {
    /// Name servers in order; at least one.
    pub servers: Vec<IpAddr>,
    /// Domains that are put behind a short name.
    pub search: Vec<String>,
    /// Dots from which a name is tried as it is first.
    pub dot_count_min: usize,
    /// Time for one try.
    pub timeout: Duration,
    /// Rounds over all servers.
    pub attempts: u32,
    /// `use-vc`: TCP only.
    pub tcp_only: bool,
}

impl ResolverConfig {
    /// Reads the text of resolv.conf; an empty one means the name server of this machine.
    #[must_use]
    pub fn parse(text: &str) -> ResolverConfig {
        let mut config = ResolverConfig {
            servers: Vec::new(),
            search: Vec::new(),
            dot_count_min: 1,
            timeout: limits::DNS_TRY_TIMEOUT,
            attempts: 2,
            tcp_only: false,
        };
        for line in text.lines() {
            let mut words =
                line.split_once(['#', ';']).map_or(line, |(before, _)| before).split_ascii_whitespace();
            match words.next() {
                // An address with a zone (fe80::1%eth0) is left out: the zone's number is not known here.
                Some("nameserver") => {
                    config.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                // The last line of these counts.
                Some("search" | "domain") => {
                    config.search = words.take(limits::DNS_SEARCH_MAX).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|word| config.option(word)),
                _ => {}
            }
        }
        config.servers.truncate(limits::DNS_SERVERS_MAX);
        if config.servers.is_empty() {
            config.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        config
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match (name, value.parse::<u32>()) {
            ("ndots", Ok(dots)) => self.dot_count_min = dots.min(15) as usize,
            ("timeout", Ok(secs)) => {
                self.timeout = Duration::from_secs(secs.clamp(1, 30).into()).min(limits::DNS_TRY_TIMEOUT);
            }
            ("attempts", Ok(count)) => self.attempts = count.clamp(1, 5),
            ("use-vc", _) => self.tcp_only = true,
            _ => {}
        }
    }

    /// The absolute names to ask for, in order.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let as_it_is = || std::iter::once(name.to_owned());
        let searched = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
        if name.matches('.').count() >= self.dot_count_min {
            as_it_is().chain(searched).collect()
        } else {
            searched.chain(as_it_is()).collect()
        }
    }
}

/// The address of a line of the hosts file, when the line names `name`.
pub fn hosts_line(line: &str, name: &str) -> Option<IpAddr> {
    let mut words = line.split_once('#').map_or(line, |(before, _)| before).split_ascii_whitespace();
    let address = words.next()?.parse().ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_of_a_pod_is_read() {
        let config = ResolverConfig::parse(
            "# made by kubelet\nnameserver 10.96.0.10\nnameserver fd00::a ; second\nnameserver fe80::1%eth0\n\
             domain old.example\nsearch kube-system.svc.cluster.local svc.cluster.local cluster.local\n\
             options ndots:5 timeout:1 attempts:9 edns0 trust-ad\n",
        );
        assert_eq!(config.servers, ["10.96.0.10".parse::<IpAddr>().unwrap(), "fd00::a".parse().unwrap()]);
        assert_eq!(config.search[0], "kube-system.svc.cluster.local");
        assert_eq!((config.dot_count_min, config.attempts, config.tcp_only), (5, 5, false));
        assert_eq!(config.timeout, Duration::from_secs(1));
    }

    #[test]
    fn without_a_file_this_machine_is_asked() {
        let config = ResolverConfig::parse("");
        assert_eq!((config.servers, config.dot_count_min), (vec![IpAddr::from([127, 0, 0, 1])], 1));
    }

    #[test]
    fn names_with_few_dots_are_searched_first() {
        let config = ResolverConfig::parse("search a.lan b.lan.\noptions ndots:2");
        assert_eq!(config.candidates("x"), ["x.a.lan", "x.b.lan", "x"]);
        assert_eq!(config.candidates("x.y.z"), ["x.y.z", "x.y.z.a.lan", "x.y.z.b.lan"]);
        assert_eq!(config.candidates("x."), ["x."]);
    }

    #[test]
    fn a_hosts_line_names_a_host_by_any_of_its_names() {
        let line = "10.0.0.7\tnode-7.lan  Node-7 # the attic";
        assert_eq!(hosts_line(line, "node-7"), Some([10, 0, 0, 7].into()));
        assert_eq!(hosts_line(line, "node-7.lan."), Some([10, 0, 0, 7].into()));
        for other in ["node", "attic", "10.0.0.7"] {
            assert_eq!(hosts_line(line, other), None);
        }
        assert_eq!(hosts_line("# 10.0.0.7 x", "x"), None);
        assert_eq!(hosts_line("nonsense x", "x"), None);
    }
}
