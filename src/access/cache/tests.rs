use super::super::review::Secret;
use super::*;
use zeroize::Zeroizing;

const LIFETIMES: Lifetimes = Lifetimes {
    token: Duration::from_secs(10),
    allowed: Duration::from_secs(5),
    denied: Duration::from_secs(20),
};

fn reviews() -> Reviews<u32> {
    Reviews::new(LIFETIMES, [7; 32])
}

fn token(text: &str) -> Question {
    Question::Token(Secret(Zeroizing::new(text.to_owned())))
}

fn access(user: &str) -> Question {
    Question::Access { spec: format!("{{\"user\":\"{user}\"}}"), cacheable: true }
}

#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Asks and answers a question at once.
fn learn(reviews: &mut Reviews<u32>, question: &Question, verdict: Verdict, now: Instant) {
    let Begin::Ask(ticket) = reviews.begin(question, 0, now) else { panic!("known already") };
    assert_eq!(reviews.finish(ticket, verdict.clone(), now), (verdict, vec![0]));
}

fn answer(reviews: &mut Reviews<u32>, question: &Question, now: Instant) -> Option<Verdict> {
    match reviews.begin(question, 0, now) {
        Begin::Answer(verdict, _) => Some(verdict),
        Begin::Wait => panic!("a review is under way"),
        Begin::Ask(ticket) => {
            reviews.flights.retain(|flight| flight.ticket != ticket);
            None
        }
    }
}

fn failed() -> Verdict {
    Verdict::Failed("away".to_owned())
}

#[test]
fn failures_are_not_remembered() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &token("a"), failed(), now);
    assert_eq!(answer(&mut reviews, &token("a"), now), None);
    assert!(reviews.rows.is_empty());
}

#[test]
fn what_may_not_be_remembered_is_not() {
    let (mut reviews, now) = (reviews(), start());
    let long = Question::Access { spec: "x".repeat(20_000), cacheable: false };
    learn(&mut reviews, &long, Verdict::Allowed, now);
    let large = Verdict::Denied("x".repeat(VERDICT_LEN_MAX + 1));
    learn(&mut reviews, &access("a"), large, now);
    assert!(reviews.rows.is_empty() && reviews.flights.is_empty());
}

#[test]
fn verdicts_end_with_the_lifetime_of_their_kind() {
    let (mut reviews, now) = (reviews(), start());
    let verdicts = [
        (token("known"), Verdict::Known(Identity::default()), LIFETIMES.token),
        (token("unknown"), Verdict::Unknown(String::new()), LIFETIMES.token),
        (access("allowed"), Verdict::Allowed, LIFETIMES.allowed),
        (access("denied"), Verdict::Denied("no".to_owned()), LIFETIMES.denied),
    ];
    for (question, verdict, lifetime) in verdicts {
        learn(&mut reviews, &question, verdict.clone(), now);
        assert_eq!(answer(&mut reviews, &question, now + lifetime - Duration::from_nanos(1)), Some(verdict));
        assert_eq!(answer(&mut reviews, &question, now + lifetime), None, "{question:?}");
    }
    let mut off = Reviews::<u32>::new(Lifetimes { allowed: Duration::ZERO, ..LIFETIMES }, [7; 32]);
    learn(&mut off, &access("a"), Verdict::Allowed, now);
    assert_eq!(answer(&mut off, &access("a"), now), None);
}

#[test]
fn a_token_is_not_taken_for_a_spec_of_the_same_bytes() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &token("{}"), Verdict::Known(Identity::default()), now);
    let spec = Question::Access { spec: "{}".to_owned(), cacheable: true };
    assert_eq!(answer(&mut reviews, &spec, now), None);
}

#[test]
fn one_review_is_in_flight_for_each_question() {
    let (mut reviews, now) = (reviews(), start());
    let Begin::Ask(ticket) = reviews.begin(&token("a"), 1, now) else { panic!() };
    assert!(matches!(reviews.begin(&token("a"), 2, now), Begin::Wait));
    assert!(matches!(reviews.begin(&token("b"), 3, now), Begin::Ask(other) if other != ticket));
    assert_eq!(reviews.finish(ticket, failed(), now), (failed(), vec![1, 2]));
    assert_eq!(reviews.in_flight(), 1);
    assert_eq!(
        reviews.finish(ticket, Verdict::Allowed, now),
        (Verdict::Allowed, vec![]),
        "a second verdict wakes nobody"
    );
    assert!(reviews.rows.is_empty(), "and is not remembered");
}

#[test]
fn a_review_that_never_comes_back_is_asked_again() {
    let (mut reviews, now) = (reviews(), start());
    let Begin::Ask(ticket) = reviews.begin(&token("a"), 1, now) else { panic!() };
    assert!(matches!(reviews.begin(&token("a"), 2, now + secs(REVIEW_SECS_MAX - 1)), Begin::Wait));
    let again = reviews.begin(&token("a"), 3, now + secs(REVIEW_SECS_MAX));
    assert!(matches!(again, Begin::Ask(same) if same == ticket));
    assert_eq!(reviews.finish(ticket, failed(), now + secs(61)).1, [1, 2, 3]);
}

#[test]
fn a_failed_review_falls_back_on_a_recent_verdict_and_no_longer() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &access("a"), Verdict::Allowed, now);
    let end = now + LIFETIMES.allowed + GRACE;
    for (at, expected) in
        [(now + LIFETIMES.allowed, Verdict::Allowed), (end - secs(1), Verdict::Allowed), (end, failed())]
    {
        let Begin::Ask(ticket) = reviews.begin(&access("a"), 1, at) else { panic!() };
        assert_eq!(reviews.finish(ticket, failed(), at), (expected, vec![1]));
    }
    // A real answer ends the grace at once.
    let (mut reviews, now) = (self::reviews(), now);
    learn(&mut reviews, &access("a"), Verdict::Allowed, now);
    let later = now + LIFETIMES.allowed;
    learn(&mut reviews, &access("a"), Verdict::Denied(String::new()), later);
    let later = later + LIFETIMES.denied;
    let Begin::Ask(ticket) = reviews.begin(&access("a"), 1, later) else { panic!() };
    assert_eq!(reviews.finish(ticket, failed(), later).0, Verdict::Denied(String::new()));
}

#[test]
fn memory_stays_within_count_and_bytes() {
    let (mut reviews, now) = (reviews(), start());
    for nth in 0..VERDICT_COUNT_MAX * 2 {
        learn(&mut reviews, &access(&nth.to_string()), Verdict::Allowed, now);
    }
    assert_eq!(
        (reviews.rows.len(), reviews.names.len(), reviews.bytes),
        (VERDICT_COUNT_MAX, VERDICT_COUNT_MAX, 0)
    );
    let large = Verdict::Denied("x".repeat(VERDICT_LEN_MAX));
    for nth in 0..VERDICT_COUNT_MAX {
        learn(&mut reviews, &access(&format!("large {nth}")), large.clone(), now);
        assert!(reviews.bytes <= VERDICT_BYTES_MAX);
        assert_eq!(reviews.bytes, reviews.rows.iter().map(|row| row.len).sum::<usize>());
    }
    // The next verdict after their time drops them all.
    learn(&mut reviews, &access("late"), Verdict::Allowed, now + secs(1000));
    assert_eq!((reviews.rows.len(), reviews.bytes), (1, 0));
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let (mut reviews, now) = (reviews(), start());
    for nth in 0..VERDICT_COUNT_MAX {
        learn(&mut reviews, &access(&nth.to_string()), Verdict::Allowed, now);
    }
    assert!(answer(&mut reviews, &access("0"), now).is_some());
    learn(&mut reviews, &access("new"), Verdict::Allowed, now);
    assert!(answer(&mut reviews, &access("0"), now).is_some());
    assert!(answer(&mut reviews, &access("1"), now).is_none());
}

#[test]
fn strangers_push_out_nobody_else() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &access("alice"), Verdict::Allowed, now);
    learn(&mut reviews, &token("good"), Verdict::Known(Identity::default()), now);
    for nth in 0..VERDICT_COUNT_MAX * 2 {
        learn(&mut reviews, &token(&nth.to_string()), Verdict::Unknown("bad".to_owned()), now);
    }
    assert_eq!(answer(&mut reviews, &access("alice"), now), Some(Verdict::Allowed));
    assert!(answer(&mut reviews, &token("good"), now).is_some());
}

#[test]
fn strangers_take_at_most_half_of_the_reviews_in_flight() {
    let (mut reviews, now) = (reviews(), start());
    for nth in 0..REVIEW_COUNT_MAX / 2 - 1 {
        assert!(matches!(reviews.begin(&token(&nth.to_string()), 0, now), Begin::Ask(_)));
    }
    assert!(matches!(reviews.begin(&access("system:anonymous"), 0, now), Begin::Ask(_)));
    let Begin::Answer(Verdict::Failed(_), 9) = reviews.begin(&token("one more"), 9, now) else { panic!() };
    for nth in 0..REVIEW_COUNT_MAX / 2 {
        assert!(matches!(reviews.begin(&access(&nth.to_string()), 0, now), Begin::Ask(_)));
    }
    assert!(matches!(reviews.begin(&access("one more"), 0, now), Begin::Answer(Verdict::Failed(_), 0)));
    assert_eq!(reviews.in_flight(), REVIEW_COUNT_MAX);
}

#[test]
fn the_places_of_one_review_are_limited() {
    let (mut reviews, now) = (reviews(), start());
    for _ in 0..REVIEW_WAITER_COUNT_MAX {
        assert!(matches!(reviews.begin(&token("a"), 0, now), Begin::Ask(_) | Begin::Wait));
    }
    assert!(matches!(reviews.begin(&token("a"), 0, now), Begin::Answer(Verdict::Failed(_), 0)));
}

#[test]
fn a_name_that_reads_like_a_stranger_is_none() {
    let spec = "{\"user\":\"x\\\",\\\"user\\\":\\\"system:anonymous\"}".to_owned();
    assert!(!Question::Access { spec, cacheable: true }.is_from_stranger());
    assert!(access("system:anonymous").is_from_stranger());
}
