use super::*;

fn list(version: &str) -> WatchStep {
    WatchStep::List { version: version.to_owned(), token: String::new() }
}

fn watch(version: &str) -> WatchStep {
    WatchStep::Watch { version: version.to_owned() }
}

fn listed(version: &str, token: &str) -> Event {
    Event::Listed { version: version.to_owned(), token: token.to_owned() }
}

fn failure(reason: Reason) -> FetchError {
    FetchError::new(reason, "")
}

/// A watch that was not even accepted.
fn refused(reason: Reason) -> Event {
    ended(WatchEnd::Failed(failure(reason)), 0, false)
}

fn ended(cause: WatchEnd, millis: u64, events: bool) -> Event {
    Event::WatchEnded { cause, events, lasted: Duration::from_millis(millis), silence: Duration::ZERO }
}

/// A state whose first list ended at version 100.
fn watching() -> WatchState {
    let mut state = WatchState::new();
    assert_eq!(state.first(), list("0"));
    assert_eq!(state.next(&listed("100", ""), 0.0), at_once(watch("100")));
    state
}

fn after(millis: u64, step: WatchStep) -> Action {
    Action { after: Duration::from_millis(millis), step }
}

#[test]
fn pages_follow_each_other_and_a_watch_the_last() {
    let mut state = WatchState::new();
    let next = state.next(&listed("7", "more"), 0.0);
    assert_eq!(next, at_once(WatchStep::List { version: "7".to_owned(), token: "more".to_owned() }));
    assert_eq!(state.next(&listed("7", ""), 0.0), at_once(watch("7")));
}

#[test]
fn the_end_of_a_watch_is_resumed_at_once_at_the_newest_version() {
    let mut state = watching();
    assert_eq!(state.next(&ended(WatchEnd::End, 300_000, false), 0.0), at_once(watch("100")));
    state.saw("120");
    state.saw("");
    assert_eq!(state.next(&ended(WatchEnd::End, 5, true), 0.0), at_once(watch("120")));
}

#[test]
fn watches_that_end_at_once_without_an_event_are_failures() {
    let mut state = watching();
    assert_eq!(state.next(&ended(WatchEnd::End, 5, false), 0.0), after(800, watch("100")));
    assert_eq!(state.next(&ended(WatchEnd::End, 5, false), 0.0), after(1_600, watch("100")));
    assert_eq!(state.next(&ended(WatchEnd::End, 1_000, false), 0.0), at_once(watch("100")));
    assert_eq!(state.next(&ended(WatchEnd::End, 5, false), 0.0), after(800, watch("100")));
}

#[test]
fn refused_connections_lead_to_a_list_since_the_server_may_have_been_restored() {
    let mut state = watching();
    assert_eq!(state.next(&refused(Reason::Refused), 0.0), after(800, list("100")));
    let failed = |reason| Event::ListFailed(failure(reason));
    // Where nothing listens, asking costs nobody: it is found soon after it is up again.
    for wait in [1_600; 4] {
        assert_eq!(state.next(&failed(Reason::Refused), 0.0), after(wait, list("100")));
    }
    for wait in [3_200, 6_400, 12_800, 25_600, 30_000, 30_000] {
        assert_eq!(state.next(&failed(Reason::Busy), 0.0), after(wait, list("100")));
    }
    // A store that is older than what we know refuses that version; then it is asked for what it has.
    assert_eq!(state.next(&failed(Reason::ServerTimeout), 0.0), after(30_000, list("")));
    assert_eq!(state.next(&listed("60", ""), 0.0), at_once(watch("60")));
}

#[test]
fn other_refusals_resume_the_watch() {
    let mut state = watching();
    for wait in [800, 1_600, 3_200] {
        assert_eq!(state.next(&refused(Reason::Unauthorized), 0.0), after(wait, watch("100")));
    }
    for reason in [Reason::Dns, Reason::Timeout, Reason::Untrusted, Reason::Unauthorized, Reason::Forbidden] {
        assert_eq!(state.next(&refused(reason), 1.0).step, watch("100"), "{reason:?}");
    }
}

#[test]
fn silence_leads_to_a_list_from_storage() {
    let silent = |cause, secs| Event::WatchEnded {
        cause,
        events: false,
        lasted: Duration::from_secs(secs),
        silence: Duration::from_secs(secs),
    };
    let mut state = watching();
    assert_eq!(state.next(&silent(WatchEnd::End, 179), 0.0), at_once(watch("100")));
    assert_eq!(state.next(&silent(WatchEnd::End, 180), 0.0), at_once(list("")));
    assert_eq!(state.next(&listed("60", ""), 0.0), at_once(watch("60")));
    let broke = WatchEnd::Failed(failure(Reason::Disconnected));
    assert_eq!(state.next(&silent(broke, 200), 0.0), after(800, list("")));
}

#[test]
fn versions_that_go_back_are_seen() {
    let mut state = watching();
    assert!(state.saw("120") && state.saw("120") && state.saw("") && state.saw("121"));
    assert!(!state.saw("60"));
    assert!(state.saw("61"));
    // Versions that are no numbers have no order.
    assert!(state.saw("b") && state.saw("a"));
}

#[test]
fn retry_after_is_honoured_when_it_is_longer() {
    let mut state = watching();
    let mut busy = failure(Reason::Busy);
    busy.retry_after = Some(Duration::from_secs(5));
    let event = |error: &FetchError| ended(WatchEnd::Failed(error.clone()), 0, false);
    assert_eq!(state.next(&event(&busy), 0.0), after(5_000, watch("100")));
    busy.retry_after = Some(Duration::from_secs(1));
    assert_eq!(state.next(&event(&busy), 0.0), after(1_600, watch("100")));
    busy.retry_after = Some(Duration::from_secs(9));
    assert_eq!(WatchState::new().next(&Event::ListFailed(busy), 0.0), after(9_000, list("0")));
}

#[test]
fn a_version_that_is_gone_leads_to_one_list_at_once() {
    let mut state = watching();
    state.saw("150");
    assert_eq!(state.next(&refused(Reason::Gone), 0.0), at_once(list("150")));
    // The list at the old version may be refused as well: then the storage itself is asked.
    assert_eq!(state.next(&Event::ListFailed(failure(Reason::Gone)), 0.0), after(800, list("")));
    assert_eq!(state.next(&listed("200", ""), 0.0), at_once(watch("200")));
}

#[test]
fn gone_within_the_stream_is_the_same_and_gone_again_waits() {
    let mut state = watching();
    let gone = || ended(WatchEnd::Failed(failure(Reason::Gone)), 2_000, true);
    assert_eq!(state.next(&gone(), 0.0), at_once(list("100")));
    assert_eq!(state.next(&listed("200", ""), 0.0), at_once(watch("200")));
    assert_eq!(state.next(&refused(Reason::Gone), 0.0), after(800, list("200")));
    assert_eq!(state.next(&listed("200", ""), 0.0), at_once(watch("200")));
    assert_eq!(state.next(&refused(Reason::Gone), 0.0), after(1_600, list("200")));
}

#[test]
fn an_expired_page_starts_the_list_again_from_storage() {
    let mut state = WatchState::new();
    state.next(&listed("7", "more"), 0.0);
    assert_eq!(state.next(&Event::ListFailed(failure(Reason::Gone)), 0.0), after(800, list("")));
}

#[test]
fn a_version_newer_than_the_server_knows_leads_to_a_list_from_storage() {
    let mut state = watching();
    assert_eq!(state.next(&refused(Reason::ServerTimeout), 0.0), after(800, list("")));
    let mut state = watching();
    state.next(&refused(Reason::Gone), 0.0);
    assert_eq!(state.next(&Event::ListFailed(failure(Reason::ServerTimeout)), 0.0), after(800, list("")));
}

#[test]
fn error_events_of_code_500_resume_and_only_then_list() {
    let mut state = watching();
    let error = || ended(WatchEnd::Failed(failure(Reason::Status)), 10, false);
    assert_eq!(state.next(&error(), 0.0), after(800, watch("100")));
    assert_eq!(state.next(&error(), 0.0), after(1_600, watch("100")));
    assert_eq!(state.next(&error(), 0.0), after(3_200, list("")));
    assert_eq!(state.next(&listed("200", ""), 0.0), at_once(watch("200")));
    assert_eq!(state.next(&error(), 0.0), after(6_400, watch("200")), "waits go on growing");
}

#[test]
fn bytes_that_are_no_events_resume_and_only_then_list() {
    let mut state = watching();
    let garbage = || ended(WatchEnd::Failed(failure(Reason::Body)), 10, false);
    state.next(&garbage(), 0.0);
    state.next(&garbage(), 0.0);
    assert_eq!(state.next(&garbage(), 0.0).step, list(""));
}

#[test]
fn a_watch_that_broke_after_events_is_resumed_at_once() {
    let mut state = watching();
    let broke = |events| ended(WatchEnd::Failed(failure(Reason::Disconnected)), 10, events);
    assert_eq!(state.next(&broke(true), 0.0), at_once(watch("100")));
    assert_eq!(state.next(&broke(false), 0.0), after(800, watch("100")));
}

#[test]
fn failed_lists_wait_and_list_again() {
    let mut state = WatchState::new();
    assert_eq!(state.next(&Event::ListFailed(failure(Reason::Refused)), 0.0), after(800, list("0")));
    assert_eq!(state.next(&Event::ListFailed(failure(Reason::Forbidden)), 0.5), after(2_400, list("0")));
}

/// Time from the last word of a server until the list that follows, when every watch is accepted and then silent until its
/// server ends it after `life`.
fn time_to_list(life: Duration) -> Duration {
    let heard_at = crate::host::clock::mono();
    let mut now = heard_at;
    let mut state = watching();
    for _ in 0..1_000 {
        let accepted_at = now;
        let hangs = accepted_at + life > listen_until(heard_at);
        now = (accepted_at + life).min(listen_until(heard_at));
        let cause = if hangs { WatchEnd::Failed(failure(Reason::Timeout)) } else { WatchEnd::End };
        let event =
            Event::WatchEnded { cause, events: false, lasted: now - accepted_at, silence: now - heard_at };
        let action = state.next(&event, 1.0);
        now += action.after;
        if matches!(action.step, WatchStep::List { .. }) {
            return now - heard_at;
        }
    }
    panic!("a server that is silent is never listed again");
}

#[test]
fn a_silent_server_is_listed_again_after_three_minutes_whenever_its_watches_end() {
    let longest = limits::WATCH_SILENCE_MAX + limits::WATCH_BACKOFF_FIRST * 2;
    // The last one hangs for good.
    for life in [2, 59, 60, 100, 120, 179, 180, 181, 240, 660, 100_000] {
        let time = time_to_list(Duration::from_secs(life));
        assert!(time >= limits::WATCH_SILENCE_MAX && time <= longest, "watches of {life} s: {time:?}");
    }
}
