use super::super::review::{Asked, Secret};
use super::*;
use zeroize::Zeroizing;

const LIFETIMES: Lifetimes = Lifetimes {
    token: Duration::from_secs(10),
    allowed: Duration::from_secs(5),
    denied: Duration::from_secs(20),
};

fn reviews() -> Reviews<u32> {
    Reviews::new(LIFETIMES, [7; 32], |_| false)
}

fn token(text: &str) -> Question {
    Question::token(Secret(Zeroizing::new(text.to_owned())))
}

fn access(user: &str) -> Question {
    question(&format!("{{\"user\":\"{user}\"}}"), true, false)
}

fn question(spec: &str, cacheable: bool, is_unauthenticated: bool) -> Question {
    Question { asked: Asked::Access { spec: spec.to_owned(), cacheable }, is_unauthenticated }
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
    let Begin::Ask(ticket, _) = reviews.begin(question.clone(), 0, now) else { panic!("known already") };
    assert_eq!(reviews.finish(ticket, verdict.clone(), now), (verdict, vec![0]));
}

fn answer(reviews: &mut Reviews<u32>, question: &Question, now: Instant) -> Option<Verdict> {
    match reviews.begin(question.clone(), 0, now) {
        Begin::Answer(verdict, _) => Some(verdict),
        Begin::Wait => panic!("a review is under way"),
        Begin::Ask(ticket, _) => {
            reviews.flights.retain(|flight| flight.ticket != ticket);
            None
        }
    }
}

fn failed() -> Verdict {
    Verdict::Failed("unreachable".to_owned())
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
    let long = question(&"x".repeat(20_000), false, false);
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
    let mut off = Reviews::<u32>::new(Lifetimes { allowed: Duration::ZERO, ..LIFETIMES }, [7; 32], |_| false);
    learn(&mut off, &access("a"), Verdict::Allowed, now);
    assert_eq!(answer(&mut off, &access("a"), now), None);
}

#[test]
fn a_token_is_not_taken_for_a_spec_of_the_same_bytes() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &token("{}"), Verdict::Known(Identity::default()), now);
    let spec = question("{}", true, false);
    assert_eq!(answer(&mut reviews, &spec, now), None);
}

#[test]
fn one_review_is_in_flight_for_each_question() {
    let (mut reviews, now) = (reviews(), start());
    let Begin::Ask(ticket, _) = reviews.begin(token("a"), 1, now) else { panic!() };
    assert!(matches!(reviews.begin(token("a"), 2, now), Begin::Wait));
    assert!(matches!(reviews.begin(token("b"), 3, now), Begin::Ask(other, _) if other != ticket));
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
    let Begin::Ask(ticket, _) = reviews.begin(token("a"), 1, now) else { panic!() };
    assert!(matches!(reviews.begin(token("a"), 2, now + secs(REVIEW_SECS_MAX - 1)), Begin::Wait));
    let again = reviews.begin(token("a"), 3, now + secs(REVIEW_SECS_MAX));
    assert!(matches!(again, Begin::Ask(same, _) if same == ticket));
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
        let Begin::Ask(ticket, _) = reviews.begin(access("a"), 1, at) else { panic!() };
        assert_eq!(reviews.finish(ticket, failed(), at), (expected, vec![1]));
    }
    // A real answer ends the grace at once.
    let (mut reviews, now) = (self::reviews(), now);
    learn(&mut reviews, &access("a"), Verdict::Allowed, now);
    let later = now + LIFETIMES.allowed;
    learn(&mut reviews, &access("a"), Verdict::Denied(String::new()), later);
    let later = later + LIFETIMES.denied;
    let Begin::Ask(ticket, _) = reviews.begin(access("a"), 1, later) else { panic!() };
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
fn unauthenticated_callers_evict_no_verdict_of_others() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &access("alice"), Verdict::Allowed, now);
    learn(&mut reviews, &token("good"), Verdict::Known(Identity::default()), now);
    for nth in 0..VERDICT_COUNT_MAX * 2 {
        learn(&mut reviews, &token(&nth.to_string()), Verdict::Unknown("bad".to_owned()), now);
    }
    assert_eq!(answer(&mut reviews, &access("alice"), now), Some(Verdict::Allowed));
    assert!(answer(&mut reviews, &token("good"), now).is_some());
}

fn is_busy(reviews: &mut Reviews<u32>, question: Question, now: Instant) -> bool {
    matches!(reviews.begin(question, 9, now), Begin::Answer(Verdict::Busy, 9))
}

#[test]
fn unauthenticated_callers_take_at_most_half_of_the_reviews_in_flight() {
    let (mut reviews, now) = (reviews(), start());
    for nth in 0..REVIEW_COUNT_MAX / 2 - 1 {
        assert!(matches!(reviews.begin(token(&nth.to_string()), 0, now), Begin::Ask(..)));
    }
    assert!(matches!(reviews.begin(question("{}", true, true), 0, now), Begin::Ask(..)));
    assert!(is_busy(&mut reviews, token("one more"), now));
    assert!(is_busy(&mut reviews, question("{\"a\":1}", true, true), now));
    for nth in 0..REVIEW_COUNT_MAX / 2 {
        assert!(matches!(reviews.begin(access(&nth.to_string()), 0, now), Begin::Ask(..)));
    }
    assert!(is_busy(&mut reviews, access("one more"), now));
    assert_eq!(reviews.in_flight(), REVIEW_COUNT_MAX);
}

#[test]
fn a_token_that_was_valid_before_keeps_its_place_in_a_flood() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &token("good"), Verdict::Known(Identity::default()), now);
    learn(&mut reviews, &token("bad"), Verdict::Unknown(String::new()), now);
    // Long after both verdicts and their grace ended.
    let later = now + secs(100_000);
    for nth in 0..REVIEW_COUNT_MAX / 2 {
        assert!(matches!(reviews.begin(token(&nth.to_string()), 0, later), Begin::Ask(..)));
    }
    assert!(is_busy(&mut reviews, token("bad"), later), "not one that was invalid before");
    let Begin::Ask(ticket, asked) = reviews.begin(token("good"), 0, later) else { panic!("no place") };
    assert!(!asked.is_unauthenticated, "the reviewer asks it before the others");
    // Once it is found invalid, its verdict is evicted like any other; its place alone is kept.
    let unknown = Verdict::Unknown(String::new());
    assert_eq!(reviews.finish(ticket, unknown.clone(), later), (unknown, vec![0]));
    for nth in 0..KNOWN_TOKEN_COUNT_MAX * 2 {
        let Begin::Ask(ticket, _) = reviews.begin(access(&nth.to_string()), 0, later) else { panic!() };
        reviews.finish(ticket, Verdict::Known(Identity::default()), later);
    }
    assert_eq!(reviews.known_tokens.len(), KNOWN_TOKEN_COUNT_MAX);
}

#[test]
fn a_remembered_verdict_counts_while_reviews_are_refused() {
    let (mut reviews, now) = (reviews(), start());
    learn(&mut reviews, &access("alice"), Verdict::Allowed, now);
    let later = now + LIFETIMES.allowed;
    for nth in 0..REVIEW_COUNT_MAX {
        assert!(matches!(reviews.begin(access(&nth.to_string()), 0, later), Begin::Ask(..)));
    }
    assert!(matches!(reviews.begin(access("alice"), 0, later), Begin::Answer(Verdict::Allowed, 0)));
    assert!(is_busy(&mut reviews, access("alice"), now + LIFETIMES.allowed + GRACE));
}

#[test]
fn questions_that_are_asked_are_bounded_in_bytes() {
    let (mut reviews, now) = (reviews(), start());
    let large = |nth: usize| format!("{nth}{}", "x".repeat(REVIEW_BYTES_MAX / 8));
    for nth in 0..3 {
        assert!(matches!(reviews.begin(token(&large(nth)), 0, now), Begin::Ask(..)));
    }
    assert!(is_busy(&mut reviews, token(&large(3)), now), "unauthenticated callers have half");
    assert!(matches!(reviews.begin(token("small"), 0, now), Begin::Ask(..)));
    for nth in 0..4 {
        assert!(matches!(reviews.begin(access(&large(nth)), 0, now), Begin::Ask(..)));
    }
    assert!(is_busy(&mut reviews, access(&large(4)), now));
    let Begin::Ask(ticket, _) = reviews.begin(access("small"), 0, now) else { panic!("no room") };
    reviews.finish(ticket, Verdict::Allowed, now);
    assert_eq!(reviews.in_flight(), 8);
}

#[test]
fn requests_that_wait_are_limited_and_those_that_left_make_room() {
    // Waiter 7 has left.
    let (mut reviews, now) = (Reviews::new(LIFETIMES, [7; 32], |waiter: &u32| *waiter == 7), start());
    for nth in 0..REVIEW_WAITER_COUNT_MAX {
        let waiter = if nth % 2 == 0 { 7 } else { 0 };
        let question = token(if nth % 3 == 0 { "a" } else { "b" });
        assert!(matches!(reviews.begin(question, waiter, now), Begin::Ask(..) | Begin::Wait));
    }
    for _ in 0..REVIEW_WAITER_COUNT_MAX / 2 {
        assert!(matches!(reviews.begin(token("a"), 0, now), Begin::Wait));
    }
    assert!(is_busy(&mut reviews, token("a"), now) && is_busy(&mut reviews, token("b"), now));
    assert!(matches!(reviews.begin(token("c"), 0, now), Begin::Ask(..)), "a new question waits for no other");
}
