//! `toplet top` against the real binary with fake kubelets: what goes wrong first, then the tables.

use crate::support::certs::Authority;
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::Lab;
use crate::support::toplet::{Toplet, run};
use crate::support::{PATIENCE, eventually};
use std::path::{Path, PathBuf};

type Said = (Option<i32>, String, String);

/// Two nodes, one of which answers; three pods.
struct Measured {
    lab: Lab,
    _kubelets: [Kubelet; 2],
    toplet: Toplet,
    socket: PathBuf,
}

fn top(socket: &Path, args: &[&str]) -> Said {
    let flag = format!("--local-socket={}", socket.display());
    let all: Vec<&str> = ["top"].into_iter().chain(args.iter().copied()).chain([flag.as_str()]).collect();
    run(&all)
}

fn measured() -> Measured {
    let lab = Lab::new();
    let good = Kubelet::start(Behaviour::Steady(vec![
        container("default", "web", "main", 100, 30),
        container("default", "web", "side", 300, 10),
        container("kube-system", "dns", "dns", 20, 64),
    ]));
    let bad = Kubelet::start(Behaviour::Status(500));
    lab.node("one", &good, &[("default", "web"), ("kube-system", "dns")]);
    lab.node("two", &bad, &[]);
    let socket = lab.folder.path().join("toplet.sock");
    let toplet = lab.start(&[&format!("--local-socket={}", socket.display())]);
    eventually("all is measured", PATIENCE, || {
        let (_, pods, _) = top(&socket, &["pod", "-A", "--no-headers"]);
        let (_, nodes, _) = top(&socket, &["node", "--no-headers"]);
        (pods.lines().count() == 2 && nodes.contains("Mi")).then_some(())
    });
    Measured { lab, _kubelets: [good, bad], toplet, socket }
}

/// Cells of each line.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn number(cell: &str) -> u64 {
    cell.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or_else(|_| panic!("{cell}"))
}

#[test]
fn what_goes_wrong_is_said_with_a_remedy() {
    let (code, out, said) = run(&["top", "node", "--local-socket=/nowhere/toplet.sock"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.contains("/nowhere/toplet.sock") && said.contains("--server="), "{said}");
    let (code, _, said) = run(&["top", "node", "--containers"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, _, said) = run(&["--v=2", "top"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("write toplet top first"), "{said}");
    let it = measured();
    for (args, text) in [
        (&["pod", "nobody"][..], "Error from server (NotFound): "),
        (&["node", "nobody"], "Error from server (NotFound): "),
        (&["node", "two"], "Error from server (NotFound): "),
        (&["pod", "-l", "a in (", "-A"], "Error from server (BadRequest): "),
        (&["pod", "--field-selector=status.phase=Running"], "Error from server (BadRequest): "),
        (&["pod", "web", "-A"], "a pod by name needs its namespace"),
    ] {
        let (code, out, said) = top(&it.socket, args);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{args:?}: {said}");
        assert!(said.contains(text), "{args:?}: {said}");
    }
    // A server that cannot be verified is not asked, nor one that another authority signed for.
    let server = format!("--server=https://127.0.0.1:{}", it.toplet.port);
    let (code, _, said) = run(&["top", "pod", &server]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--certificate-authority"), "{said}");
    let other = it.lab.folder.path().join("other.pem");
    std::fs::write(&other, Authority::new("other").pem).unwrap();
    let (code, _, said) =
        run(&["top", "pod", &server, &format!("--certificate-authority={}", other.display())]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot be asked"), "{said}");
}

#[test]
fn tables_have_the_columns_and_the_order_of_kubectl() {
    let it = measured();
    let (code, out, said) = top(&it.socket, &["pod", "-A", "--containers", "--sort-by=cpu"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let lines = cells(&out);
    assert_eq!(lines[0], ["NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]);
    let rows: Vec<_> = lines[1..].iter().map(|row| row[..3].join(" ") + " " + row[4]).collect();
    assert_eq!(rows, ["default web side 10Mi", "default web main 30Mi", "kube-system dns dns 64Mi"]);
    assert!((250..=350).contains(&number(lines[1][3])), "{out}");
    let width = out.lines().next().unwrap().len();
    assert!(out.lines().all(|line| line.len() == width), "every line is padded to the same width:\n{out}");

    let (_, out, _) = top(&it.socket, &["pod", "-A", "--sort-by=memory", "--sum", "--no-headers"]);
    let lines = cells(&out);
    assert_eq!((lines[0][1], lines[1][1]), ("dns", "web"), "{out}");
    assert_eq!(lines[2], ["________", "________"]);
    assert_eq!(lines[3][1], "104Mi", "{out}");

    let (_, out, said) = top(&it.socket, &["pod", "-n", "empty"]);
    assert_eq!((out.as_str(), said.as_str()), ("", "No resources found in empty namespace.\n"));
    let (_, out, _) = top(&it.socket, &["pod", "web", "--show-swap", "-o", "wide"]);
    let lines = cells(&out);
    assert_eq!(lines[0], ["NAME", "CPU(cores)", "MEMORY(bytes)", "SWAP(bytes)", "AGE"]);
    assert!(lines.len() == 2 && lines[1][0] == "web" && lines[1][4].ends_with('s'), "{out}");
    for (selector, count) in [("app=web", 1), ("app!=web", 1), ("app in (web,dns)", 2)] {
        let (_, out, _) = top(&it.socket, &["pod", "-A", "--no-headers", "-l", selector]);
        assert_eq!(out.lines().count(), count, "{selector}: {out}");
    }
}

#[test]
fn nodes_have_percentages_and_a_reason_where_there_is_no_usage() {
    let it = measured();
    let (code, out, said) = top(&it.socket, &["node"]);
    assert_eq!(code, Some(0), "{said}");
    let lines = cells(&out);
    assert_eq!(lines[0], ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]);
    let one = &lines[1];
    // The fake API server says that each node has 4 cores and 1 GiB.
    assert_eq!(one[0], "one");
    assert!(number(one[2]).abs_diff(number(one[1]) / 40) <= 1, "{out}");
    assert!(number(one[4]).abs_diff(number(one[3]) * 100 / 1024) <= 1, "{out}");
    assert_eq!(lines[2], ["two", "<unknown>", "<unknown>", "<unknown>", "<unknown>"]);
    assert!(said.starts_with("toplet: node two has no usage: ") && said.contains("500"), "{said}");

    let (_, out, _) = top(&it.socket, &[]);
    assert!(out.contains("\n\nNAMESPACE"), "nodes, then pods:\n{out}");
    let (_, pods) = out.split_once("\n\n").unwrap();
    assert_eq!(cells(pods)[1][1], "web", "by CPU:\n{out}");
    let (_, out, _) = top(&it.socket, &["node", "one", "-o", "json"]);
    assert!(out.contains("\"kind\": \"NodeMetrics\""), "{out}");
    let (_, out, _) = top(&it.socket, &["pod", "-A", "-o", "yaml"]);
    assert!(out.contains("PodMetricsList"), "{out}");
}

#[test]
fn a_server_is_asked_with_the_rights_of_its_caller() {
    let it = measured();
    let server = format!("--server=https://127.0.0.1:{}", it.toplet.port);
    let insecure = "--insecure-skip-tls-verify";
    let (code, out, said) = run(&["top", "pod", "-A", &server, insecure]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "anonymous callers may not read: {said}");
    assert!(said.contains("Error from server (Forbidden)"), "{said}");
    {
        let mut world = it.lab.api.world();
        world.tokens = vec![("word".into(), "alice".into(), Vec::new())];
        world.allowed = vec!["alice".into()];
    }
    let kubeconfig = it.lab.api.kubeconfig(it.lab.folder.path(), "{token: word}");
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let (code, out, said) = run(&["top", "pod", "-A", &server, insecure, &kubeconfig]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(cells(&out)[1][1], "web", "{out}");
}

/// What bash offers after these words.
fn offered(words: &str) -> Vec<String> {
    let (code, script, said) = run(&["completion", "bash"]);
    assert_eq!(code, Some(0), "{said}");
    let ask = format!(
        "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _toplet; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = std::process::Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_flags_and_their_values() {
    assert_eq!(offered("toplet do"), ["doctor"]);
    assert_eq!(offered("toplet top --so"), ["--sort-by"]);
    assert_eq!(offered("toplet top pod --sort-by ''"), ["cpu", "memory"]);
    assert_eq!(offered("toplet manifest static"), ["static-pod"]);
    assert_eq!(offered("toplet completion z"), ["zsh"]);
    assert_eq!(offered("toplet --max-p"), ["--max-pods"]);
    assert_eq!(offered("toplet check --config ''"), Vec::<String>::new(), "files are bash's own");
    assert_eq!(offered("toplet setup --max"), Vec::<String>::new());
    let (code, _, said) = run(&["completion", "tcsh"]);
    assert_eq!(code, Some(2), "{said}");
}
