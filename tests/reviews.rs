//! Reviews as the real binary asks them: one at a time for each question, bounded, and remembered for a short grace while
//! the API server is unreachable.

use crate::support::client::Client;
use crate::support::lab::{Lab, NODES};
use crate::support::toplet::Toplet;
use crate::support::{PATIENCE, eventually};
use std::time::Duration;
use toplet::limits;

/// A cluster where alice may do everything and `word-NAME` is the token of NAME, and toplet that trusts it.
fn cluster(more: &[&str]) -> (Lab, Toplet) {
    let lab = Lab::new();
    {
        let mut world = lab.api.world();
        world.allowed = vec!["alice".into()];
        world.tokens = ["alice", "bob"]
            .into_iter()
            .map(|name| (format!("word-{name}"), name.to_string(), Vec::new()))
            .collect();
    }
    let toplet = lab.start(more);
    eventually("the ConfigMap is read", PATIENCE, || {
        (lab.admin(&toplet).get(NODES).ok()?.status == 200).then_some(())
    });
    // Until then this client was anonymous, which is reviewed too.
    lab.api.world().reviews.clear();
    (lab, toplet)
}

fn bearer(toplet: &Toplet, token: &str) -> Client {
    toplet.client().header("Authorization", &format!("Bearer {token}"))
}

fn status(client: &Client) -> u16 {
    client.get(NODES).unwrap().status
}

fn reviews(lab: &Lab, kind: &str) -> usize {
    lab.api.world().reviews.iter().filter(|body| body.contains(&format!("\"kind\":\"{kind}\""))).count()
}

/// The statuses of many clients that ask at the same time.
fn at_once(clients: Vec<Client>) -> Vec<u16> {
    let threads: Vec<_> =
        clients.into_iter().map(|client| std::thread::spawn(move || status(&client))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn clients_that_ask_the_same_at_once_share_one_review() {
    let (lab, toplet) = cluster(&[]);
    lab.api.world().review_delay = Duration::from_millis(700);
    let clients = (0..30).map(|_| bearer(&toplet, "word-alice")).collect();
    assert_eq!(at_once(clients), [200; 30]);
    assert_eq!((reviews(&lab, "TokenReview"), reviews(&lab, "SubjectAccessReview")), (1, 1));
}

#[test]
fn unknown_tokens_are_bounded_and_delay_no_authenticated_caller() {
    let (lab, toplet) = cluster(&[]);
    let alice = lab.proxy(&toplet, "alice");
    let known = bearer(&toplet, "word-bob");
    assert_eq!((status(&alice), status(&known)), (200, 403));
    lab.api.world().reviews.clear();
    lab.api.world().review_delay = Duration::from_millis(1_000);
    let flood = (0..100).map(|nth| bearer(&toplet, &format!("none-{nth}"))).collect();
    let flood = std::thread::spawn(move || at_once(flood));
    eventually("the flood is there", PATIENCE, || (reviews(&lab, "TokenReview") > 0).then_some(()));
    // A remembered verdict and a master's need no review; a new question finds its place beside theirs.
    assert_eq!((status(&alice), status(&lab.admin(&toplet))), (200, 200));
    assert_eq!(status(&lab.proxy(&toplet, "zoe")), 403);
    // A token that was valid before is reviewed again; a valid one that was never seen may be asked to try again, and
    // neither is called invalid.
    assert_eq!(status(&known), 403);
    let first_seen = status(&bearer(&toplet, "word-alice"));
    assert!([200, 429].contains(&first_seen), "{first_seen}");
    let flooded = flood.join().unwrap();
    assert!(flooded.iter().all(|status| [401, 429].contains(status)), "{flooded:?}");
    assert!(flooded.contains(&429), "not all of them are reviewed");
    let answer = bearer(&toplet, "word-alice");
    eventually("the new token is valid", PATIENCE, || (status(&answer) == 200).then_some(()));
    let asked = reviews(&lab, "TokenReview");
    assert!(asked <= limits::REVIEW_COUNT_MAX / 2 + 2, "{asked} unknown tokens were reviewed");
}

#[test]
fn while_the_api_server_is_unreachable_what_was_decided_counts_on_and_nothing_else() {
    let short = ["authentication-token", "authorization"].map(|which| match which {
        "authorization" => vec![
            "--authorization-webhook-cache-authorized-ttl=1s".to_string(),
            "--authorization-webhook-cache-unauthorized-ttl=1s".to_string(),
        ],
        _ => vec!["--authentication-token-webhook-cache-ttl=1s".to_string()],
    });
    let flags: Vec<String> = short.into_iter().flatten().collect();
    let (mut lab, toplet) = cluster(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let (alice, bob) = (bearer(&toplet, "word-alice"), bearer(&toplet, "word-bob"));
    let proxied = lab.proxy(&toplet, "alice");
    assert_eq!((status(&alice), status(&bob), status(&proxied)), (200, 403, 200));
    lab.api.front.cut();
    // Longer than the verdicts live.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!((status(&alice), status(&bob), status(&proxied)), (200, 403, 200), "the grace");
    let message = bob.get(NODES).unwrap().text();
    assert!(message.contains("User \\\"bob\\\" cannot list"), "{message}");
    assert_eq!(status(&bearer(&toplet, "word-new")), 401, "a token that was never reviewed");
    assert_eq!(status(&lab.proxy(&toplet, "zoe")), 500, "a question that was never asked");
    assert_eq!(status(&lab.admin(&toplet)), 200, "a master needs no review");
    // Back again, the API server's word counts at once.
    lab.api.world().allowed.clear();
    lab.api.front.resume();
    eventually("the right is gone", PATIENCE, || (status(&proxied) == 403).then_some(()));
    eventually("for the token as well", PATIENCE, || (status(&alice) == 403).then_some(()));
}
