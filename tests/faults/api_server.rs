//! An API server that fails: what is known stays served, and what changed meanwhile is taken over afterwards.

use super::{Rows, figures, fresh};
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, PODS};
use crate::support::protobuf::Pod;
use crate::support::{PATIENCE, eventually, timestamp};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One fault of the API server: its name, how it begins, and how it ends.
type ApiFault = (&'static str, fn(&mut Lab), fn(&mut Lab));

const API_FAULTS: [ApiFault; 7] = [
    ("429", |lab| fail(lab, 429), heal),
    ("429, Retry-After: 15", |lab| fail_for(lab, 15), heal),
    ("500", |lab| fail(lab, 500), heal),
    ("half a list", halve_lists, heal),
    ("list cut in the middle", cut_lists, heal),
    ("down for a while", |lab| lab.api.front.cut(), |lab| lab.api.front.resume()),
    ("restored backup", restore, |lab| lab.api.front.resume()),
];

fn fail(lab: &mut Lab, status: u16) {
    lab.api.world().failure = Some(status);
    lab.api.end_watches(Some(410));
}

/// Refuses everything and asks for patience; that it is had shows in the number of requests.
fn fail_for(lab: &mut Lab, secs: u64) {
    lab.api.world().retry_after = Some(secs);
    let before = lab.api.world().seen.len();
    fail(lab, 429);
    // Without it each of three would ask four times in this time.
    std::thread::sleep(Duration::from_secs(10));
    let asked = lab.api.world().seen.split_off(before);
    assert!(asked.len() <= 4, "{asked:?}");
}

fn halve_lists(lab: &mut Lab) {
    lab.api.world().halves_lists = true;
    lab.api.end_watches(Some(410));
}

/// The connection breaks in the middle of the list of pods.
fn cut_lists(lab: &mut Lab) {
    lab.api.front.breaks_after.store(200 * 1024, Ordering::SeqCst);
    lab.api.end_watches(Some(410));
    lab.api.front.cut();
    lab.api.front.resume();
    let lists = |lab: &Lab| {
        let world = lab.api.world();
        world
            .seen
            .iter()
            .filter(|asked| asked.starts_with("GET /api/v1/pods") && !asked.contains("watch="))
            .count()
    };
    let before = lists(lab);
    eventually("a list that was cut is asked for again", PATIENCE, || {
        (lists(lab) >= before + 2).then_some(())
    });
}

/// Comes back with versions from before those that toplet knows.
fn restore(lab: &mut Lab) {
    lab.api.front.cut();
    lab.api.restore(10);
}

fn heal(lab: &mut Lab) {
    lab.api.front.breaks_after.store(u64::MAX, Ordering::SeqCst);
    let mut world = lab.api.world();
    (world.failure, world.retry_after, world.halves_lists) = (None, None, false);
}

#[test]
fn faults_of_the_api_server() {
    std::thread::scope(|scope| {
        let rows: Vec<_> = API_FAULTS.iter().map(|fault| scope.spawn(|| api_fault(fault))).collect();
        rows.into_iter().for_each(|row| row.join().unwrap());
    });
}

fn api_fault(&(name, begin, end): &ApiFault) {
    // A list of about a megabyte, in many pieces.
    const PODS_COUNT: usize = 700;
    let mut lab = Lab::new();
    let containers =
        [("pod-n1", 9), ("new", 1)].map(|(pod, size)| container("default", pod, "main", 100, size));
    let kubelet = Kubelet::start(Behaviour::Steady(containers.into()));
    (0..PODS_COUNT).for_each(|nth| lab.api.add_pod(Pod::new("default", &format!("web-{nth}"))));
    lab.node("n1", &kubelet, &[("default", "pod-n1")]);
    let toplet = lab.start(&[]);
    let client = lab.admin(&toplet);
    toplet.until(&client, PODS, |body| body.contains("pod-n1"));
    let rows = Rows::begin(&toplet);
    let (lines, asked) = (toplet.log().len(), lab.api.world().seen.len());
    let seen = timestamp(&figures(&client, "n1").unwrap());
    begin(&mut lab);
    let said = eventually(&format!("{name} is said"), PATIENCE, || {
        toplet
            .log()
            .split_off(lines)
            .into_iter()
            .find(|line| line.contains("API server") && line.contains("; "))
    });
    fresh(name, &client, "n1", &seen);
    assert!(client.get(PODS).unwrap().text().contains("pod-n1"), "{name}: a pod is lost");
    end(&mut lab);
    lab.api.add_pod(Pod::new("default", "new"));
    let up_to_date = |body: &str| body.contains("\"new\"") && body.contains("pod-n1");
    eventually(&format!("{name}: up to date"), PATIENCE * 3, || {
        up_to_date(&client.get(PODS).unwrap().text()).then_some(())
    });
    let asked = lab.api.world().seen.len() - asked;
    rows.print(
        name,
        "API server, 700 pods",
        "nothing lost, then up to date",
        &format!("{asked} requests: {said}"),
    );
    assert!(asked < 60, "{name}: {asked} requests");
}
