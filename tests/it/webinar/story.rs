//! `explain` on a webinar's people: who was sent, who was taken over, who waits and who may not come.

use std::time::Duration;

use insta::assert_snapshot;
use registrant_import::simulator::{
    Config, EventConfig, Faults, RegistrationStatus, SimulatedFault as Fault,
};

use crate::context::{Context, Ran};

const RUN: &str = "run people.csv --webinar w1@t1 --settle 100ms --rate 1000/s";

/// So many people as a webinar wants them.
fn guests(n: usize) -> String {
    (0..n).fold("id,first name,last name,email\n".to_owned(), |text, n| {
        text + &format!("T-{n},Ada{n},Byron,ada{n}@example.org\n")
    })
}

fn story(context: &Context, id: &str) -> Ran {
    context.run(&format!("explain {id} --webinar w1@t1")).expect(0)
}

#[test]
fn who_was_registered_has_the_post_and_the_fetching_of_the_link() {
    let context = Context::new();
    context.file("people.csv", guests(1));
    context.run(RUN).expect(0);
    assert_snapshot!(story(&context, "T-0"), @"
    exit 0
    --- stdout
    state   enrolled, its link is held (run 1)
    line    2 of the CSV that it was last sent from

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    attempt 2: GET of its link in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
}

#[test]
fn who_was_there_before_has_no_post() {
    let context = Context::new();
    context.file("people.csv", guests(1));
    context.run(&format!("{RUN} --ledger other.ledger")).expect(0);
    context.run(RUN).expect(0);
    assert_snapshot!(story(&context, "T-0"), @"
    exit 0
    --- stdout
    state   enrolled, its link is held (taken over: the target held it already)
    line    2 of the CSV

    attempt 1: GET of its link in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
}

#[test]
fn who_waited_for_the_organizer_has_the_organizers_word_until_there_is_a_link() {
    let webinar = EventConfig { approval: true, ..EventConfig::default() };
    let context = Context::with(Config { event: webinar, ..Config::default() });
    context.file("people.csv", guests(2));
    context.run(RUN).expect(4);
    assert_snapshot!(story(&context, "T-0"), @"
    exit 0
    --- stdout
    state   on the server, no link yet (run 1)
    line    2 of the CSV that it was last sent from
    code    pending-approval
    reason  the organizer has not approved it yet

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
    for (n, status) in
        [(0, RegistrationStatus::Registered), (1, RegistrationStatus::RejectedByOrganizer)]
    {
        let email = format!("ada{n}@example.org");
        assert!(context.simulator().decide("w1@t1", &email, status));
    }
    context.run(RUN).expect(3);
    let ran = story(&context, "T-0");
    assert!(ran.stdout.starts_with("state   enrolled, its link is held (run 2)\n"), "{ran}");
    assert!(!ran.stdout.contains("approved"), "an old reason: {ran}");
    assert_snapshot!(story(&context, "T-1"), @"
    exit 0
    --- stdout
    state   on the server no longer (run 2)
    line    3 of the CSV that it was last sent from
    code    rejected-by-organizer
    reason  the organizer has rejected its registration, so it has no link

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
}

#[test]
fn whose_address_is_taken_is_told_why_and_what_to_do() {
    let context = Context::new();
    context.file("people.csv", guests(1));
    context.run(RUN).expect(0);
    context.file("people.csv", guests(1).replace("T-0", "NEW"));
    context.run(RUN).expect(3);
    assert_snapshot!(story(&context, "NEW"), @"
    exit 0
    --- stdout
    state   refused (run 2)
    line    2 of the CSV
    code    exists-on-server
    reason  the event holds this e-mail address under another id of this list or ledger, and Teams keeps one registration for an address: give the row that id back, or the person an address of their own
    ");
}

#[test]
fn whose_answer_was_lost_is_in_doubt_until_the_list_was_asked() {
    let faults = Faults::default()
        .script("ada0@example.org", None, Fault::ServerErrorAfterCommit)
        .script("ada1@example.org", None, Fault::Refused);
    let context = Context::with(Config { faults, ..Config::default() });
    context.file("people.csv", guests(2));
    context.run(&format!("{RUN} --on-unknown hold")).expect(4);
    assert_snapshot!(story(&context, "T-0"), @"
    exit 0
    --- stdout
    state   unknown: sent, perhaps on the server, no link held; the next run looks it up (run 1)
    line    2 of the CSV that it was last sent from
    code    server-error
    reason  the result of the POST was never learnt (500 InternalServerError)

    attempt 1: POST in run 1, sent [stamp], status 500 after [time]: unknown (500 InternalServerError)
      client-request-id [guid]
      request-id        [guid]
    ");
    let refused = story(&context, "T-1");
    assert!(refused.stdout.contains("the server's own words"), "{refused}");
    let second = context.run(RUN).expect(3);
    let told = "1 left in doubt by an earlier run, to be looked up";
    assert!(second.stderr.contains(told), "{second}");
    assert_snapshot!(story(&context, "T-0"), @"
    exit 0
    --- stdout
    state   enrolled, its link is held (run 2)
    line    2 of the CSV that it was last sent from

    attempt 1: POST in run 1, sent [stamp], status 500 after [time]: unknown (500 InternalServerError)
      client-request-id [guid]
      request-id        [guid]

    attempt 2: GET of its link in run 2, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
}

#[test]
fn whose_link_does_not_come_is_told_so() {
    let faults = Faults::new(vec!["read:no-link=100".parse().expect("a fault")]).expect("100 %");
    let context = Context::with(Config { faults, ..Config::default() });
    context.file("people.csv", guests(1));
    context.run(&format!("{RUN} --max-attempts 1")).expect(4);
    assert_snapshot!(story(&context, "T-0"), @"
    exit 0
    --- stdout
    state   on the server, no link yet (run 1)
    line    2 of the CSV that it was last sent from
    code    no-link
    reason  the answer holds no join link

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    attempt 2: GET of its link in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
}

#[test]
fn registered_rows_are_told_while_their_links_are_to_come() {
    let context = Context::with(Config { list_lag: Duration::from_secs(2), ..Config::default() });
    context.file("people.csv", guests(20));
    // What the bar says, as the terminal would get it.
    let ran = context.run(&format!("{RUN} --progress always")).expect(0);
    assert!(ran.stderr.contains(" enrolled · 18 links to come"), "{ran}");
    assert!(ran.stderr.contains(" 95 %"), "19 of 20: {ran}");
}
