//! The command line of `toplet top`: its own table of flags, with the names and meaning of `kubectl top`.
//!
//! `toplet top` must be the first word. Source: `kubectl top node` and `kubectl top pod` 1.37; `--watch`, `--local-socket` and the
//! forms of `-o` are ours.

use super::argv::{self, Settled};
use super::error::{StartError, ValueOrigin};
use super::flags::ValueKind::{Switch, Text};
use super::flags::{FlagTable, Section::Toplet, immediate, short, used};
use super::value;
use std::path::PathBuf;

/// Where the service's local socket is.
const LOCAL_SOCKET: &str = "/run/toplet/toplet.sock";

/// Every flag of `toplet top`.
#[rustfmt::skip]
pub static TOP_FLAGS: FlagTable = &[
    short('A', used("all-namespaces", Switch, "false", Toplet, "Pods of every namespace.")),
    used("containers", Switch, "false", Toplet, "A line for each container of a pod."),
    used("field-selector", Text, "", Toplet, "Pods whose fields match, such as metadata.name=web or spec.nodeName=edge."),
    short('n', used("namespace", Text, "default", Toplet, "Pods of this namespace.")),
    used("no-headers", Switch, "false", Toplet, "No line of column names."),
    short('o', used("output", Text, "table", Toplet, "Form: table, wide (with the age of each sample), json or yaml (as the Metrics API answers).")),
    short('l', used("selector", Text, "", Toplet, "Label selector.")),
    used("show-swap", Switch, "false", Toplet, "Swap as well."),
    used("sort-by", Text, "", Toplet, "cpu or memory; else by name."),
    used("sum", Switch, "false", Toplet, "A last line with the sum of all pods."),
    used("local-socket", Text, LOCAL_SOCKET, Toplet, "Socket of the toplet to ask, which needs no certificate and no rights in the cluster."),
    short('s', used("server", Text, "", Toplet, "Ask this server instead, https://HOST:PORT: a toplet, or an API server.")),
    used("kubeconfig", Text, "", Toplet, "Ask its API server, or --server with its credentials."),
    used("certificate-authority", Text, "", Toplet, "CA file of --server."),
    used("insecure-skip-tls-verify", Switch, "false", Toplet, "Do not verify the server's certificate."),
    short('w', used("watch", Switch, "false", Toplet, "A live screen (q quits; c, m and n sort by CPU, memory and name; arrows, j and k scroll); without a terminal the table again and again.")),
    short('h', immediate("help", Switch, Toplet, "Print this text.")),
];

/// Flags about pods alone.
const OF_PODS: [&str; 5] = ["all-namespaces", "containers", "field-selector", "namespace", "sum"];

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopSubject {
    /// Nodes, then all pods by their CPU.
    Everything,
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
}

/// The order of lines, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopForm {
    /// Columns of `kubectl top`.
    Table,
    /// The same, and the age of each sample.
    Wide,
    /// The document of the Metrics API.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopOrigin {
    /// The toplet of a local socket.
    LocalSocket(PathBuf),
    /// A server over HTTPS.
    Server {
        /// Its URL; `None` for the kubeconfig's.
        url: Option<String>,
        /// Whose credentials are presented.
        kubeconfig: Option<PathBuf>,
        /// The authority that must have signed its certificate; `None` for the kubeconfig's.
        authority: Option<PathBuf>,
        /// Any certificate will do.
        insecure: bool,
    },
}

/// What `toplet top` is to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopOptions {
    /// Nodes, pods, or both.
    pub subject: TopSubject,
    /// One of them alone.
    pub name: Option<String>,
    /// The namespace of pods; `None` for all.
    pub namespace: Option<String>,
    /// Label selector; may be empty.
    pub selector: String,
    /// Field selector; may be empty.
    pub field_selector: String,
    /// A line for each container.
    pub containers: bool,
    /// `None`: by name.
    pub sort: Option<SortBy>,
    /// A last line with the sum.
    pub sum: bool,
    /// A first line with the names of the columns.
    pub headers: bool,
    /// Swap as well.
    pub swap: bool,
    /// Form of the output.
    pub form: TopForm,
    /// Again and again.
    pub watch: bool,
    /// Who is asked.
    pub origin: TopOrigin,
}

/// `top` behind flags, where those would be the server's.
pub(super) fn misplaced() -> StartError {
    StartError::new(
        "top",
        ValueOrigin::CommandLine,
        "stands behind flags",
        "write toplet top first, its flags after it",
    )
}

/// Reads the words after `toplet top`; `None` when they ask for help.
pub(super) fn parse(args: &[String]) -> Result<Option<TopOptions>, StartError> {
    let none = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
    let settled = argv::settle(args, TOP_FLAGS, &none)?;
    if settled.help {
        return Ok(None);
    }
    let (subject, name) = subject(&settled.words)?;
    check(&settled, subject, name.is_some())?;
    let switch = |name| settled.read(name, value::switch);
    let all = switch("all-namespaces")? || (subject == TopSubject::Everything && !settled.given("namespace"));
    let form = match settled.text("output").as_str() {
        "table" if subject == TopSubject::Everything => TopForm::Wide,
        "table" | "" => TopForm::Table,
        "wide" => TopForm::Wide,
        "json" if subject != TopSubject::Everything => TopForm::Json,
        "yaml" if subject != TopSubject::Everything => TopForm::Yaml,
        "json" | "yaml" => {
            return Err(settled.error(
                "output",
                "needs node or pod",
                "write toplet top node or toplet top pod",
            ));
        }
        other => {
            let problem = format!("`{other}` is none of table, wide, json and yaml");
            return Err(settled.error("output", problem, "write -o json"));
        }
    };
    let watch = switch("watch")?;
    if watch && matches!(form, TopForm::Json | TopForm::Yaml) {
        return Err(settled.error("watch", "shows a table", "leave --output out"));
    }
    let sort = match settled.text("sort-by").as_str() {
        "" if subject == TopSubject::Everything => Some(SortBy::Cpu),
        "" => None,
        "cpu" => Some(SortBy::Cpu),
        "memory" => Some(SortBy::Memory),
        other => {
            let problem = format!("`{other}` is neither cpu nor memory");
            return Err(settled.error("sort-by", problem, "write --sort-by=cpu"));
        }
    };
    Ok(Some(TopOptions {
        subject,
        name,
        namespace: (!all).then(|| settled.text("namespace")),
        selector: settled.text("selector"),
        field_selector: settled.text("field-selector"),
        containers: switch("containers")?,
        sort,
        sum: switch("sum")?,
        headers: !switch("no-headers")?,
        swap: switch("show-swap")?,
        form,
        watch,
        origin: origin(&settled)?,
    }))
}

/// `node` or `pod` by any of their names, and one of them alone.
fn subject(words: &[String]) -> Result<(TopSubject, Option<String>), StartError> {
    let wrong = |word: &str, problem| {
        let remedy = "write toplet top, toplet top node [NAME] or toplet top pod [NAME]";
        StartError::new(word, ValueOrigin::CommandLine, problem, remedy)
    };
    let (kind, name) = match words {
        [] => return Ok((TopSubject::Everything, None)),
        [kind] => (kind, None),
        [kind, name] => (kind, Some(name.clone())),
        [_, _, more, ..] => return Err(wrong(more, "unexpected argument")),
    };
    match kind.as_str() {
        "node" | "nodes" | "no" => Ok((TopSubject::Nodes, name)),
        "pod" | "pods" | "po" => Ok((TopSubject::Pods, name)),
        other => Err(wrong(other, "is neither node nor pod")),
    }
}

/// Flags that contradict each other, or what is printed.
fn check(settled: &Settled, subject: TopSubject, has_name: bool) -> Result<(), StartError> {
    if subject == TopSubject::Nodes
        && let Some(flag) = OF_PODS.iter().find(|flag| settled.given(flag))
    {
        return Err(settled.error(flag, "is about pods", "leave it out, or write toplet top pod"));
    }
    if has_name && let Some(flag) = ["selector", "field-selector"].iter().find(|flag| settled.given(flag)) {
        return Err(settled.error(flag, "cannot be used together with a name", "leave one of them out"));
    }
    Ok(())
}

fn origin(settled: &Settled) -> Result<TopOrigin, StartError> {
    let (url, kubeconfig) = (settled.text("server"), settled.path("kubeconfig"));
    if !url.is_empty() || kubeconfig.is_some() {
        if !url.is_empty() && !url.starts_with("https://") {
            return Err(settled.error(
                "server",
                format!("`{url}` is not an https URL"),
                "write https://HOST:PORT",
            ));
        }
        return Ok(TopOrigin::Server {
            url: Some(url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty()),
            kubeconfig,
            authority: settled.path("certificate-authority"),
            insecure: settled.read("insecure-skip-tls-verify", value::switch)?,
        });
    }
    for flag in ["certificate-authority", "insecure-skip-tls-verify"] {
        if settled.given(flag) {
            return Err(settled.error(
                flag,
                "needs --server or --kubeconfig",
                "the local socket has no certificate",
            ));
        }
    }
    match settled.path("local-socket") {
        Some(path) => Ok(TopOrigin::LocalSocket(path)),
        None => Err(settled.error(
            "local-socket",
            "is empty",
            "give --server or --kubeconfig, or the socket's path",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<TopOptions, String> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        parse(&args).map(Option::unwrap).map_err(|error| error.to_string())
    }

    #[test]
    fn contradictions_are_refused() {
        for (args, problem) in [
            (&["node", "--containers"][..], "--containers: is about pods"),
            (&["node", "-A"], "--all-namespaces: is about pods"),
            (&["pod", "web", "-l", "a=b"], "--selector: cannot be used together with a name"),
            (&["service"], "service: is neither node nor pod"),
            (&["pod", "a", "b"], "b: unexpected argument"),
            (&["pod", "--sort-by=name"], "--sort-by: `name` is neither cpu nor memory"),
            (&["pod", "-o", "xml"], "--output: `xml` is none of"),
            (&["pod", "-w", "-o", "json"], "--watch: shows a table"),
            (&["-o", "json"], "--output: needs node or pod"),
            (&["pod", "--server=http://a"], "--server: `http://a` is not an https URL"),
            (&["pod", "--insecure-skip-tls-verify"], "--insecure-skip-tls-verify: needs --server"),
            (&["pod", "--local-socket="], "--local-socket: is empty"),
            (&["pod", "--kubelet-port=1"], "--kubelet-port: unknown flag"),
            (&["pod", "--container"], "--container: unknown flag; did you mean --containers?"),
        ] {
            let error = options(args).unwrap_err();
            assert!(error.starts_with(problem), "{args:?}: {error}");
        }
    }

    #[test]
    fn words_and_flags_are_those_of_kubectl() {
        let pods = options(&["pod", "-A", "--containers", "--sort-by=cpu"]).unwrap();
        assert_eq!((pods.subject, pods.namespace, pods.sort), (TopSubject::Pods, None, Some(SortBy::Cpu)));
        assert!(pods.containers && pods.headers && pods.form == TopForm::Table);
        assert_eq!(pods.origin, TopOrigin::LocalSocket(PathBuf::from(LOCAL_SOCKET)));
        let one = options(&["po", "web", "-n", "x"]).unwrap();
        assert_eq!((one.name.as_deref(), one.namespace.as_deref()), (Some("web"), Some("x")));
        assert_eq!(options(&["pods"]).unwrap().namespace.as_deref(), Some("default"));
        assert_eq!(options(&["no"]).unwrap().subject, TopSubject::Nodes);
        let all = options(&[]).unwrap();
        assert_eq!((all.subject, all.namespace, all.form), (TopSubject::Everything, None, TopForm::Wide));
    }
}
