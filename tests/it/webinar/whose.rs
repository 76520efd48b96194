//! Whose a registration is: taken over, never given to somebody else.

use insta::assert_snapshot;
use registrant_import::simulator::{Config, Faults, SimulatedFault as Fault};

use super::{each_has_a_link_of_their_own, guests, run};
use crate::{context::Context, files};

#[test]
fn whoever_is_registered_already_is_taken_over() {
    let context = Context::new();
    context.file("people.csv", guests(3));
    run(&context, "--ledger other.ledger --output other.csv").expect(0);
    // The same ids with another ledger; one more person; one whom another tool registered under
    // another id.
    let mut more = guests(4);
    more.push_str("NEW,Ada,Byron,ADA2@example.org\n");
    context.file("people.csv", more.replace("T-002,", "GONE,").replace("ada2@", "gone@"));
    assert_snapshot!(run(&context, ""), @"
    exit 0
    --- stdout
    5 rows read:
            5  enrolled       3 of them before this run
    files     people.enrolled.csv, people.rejects.csv, webinar-w1-t1
    next      nothing: everybody is enrolled
    --- stderr
    the webinar's audience: everyone
    2 new registrants, 3 on the event already, whose links are fetched; at [rate] all go at once
    warning: Teams mails everybody whom it registers: 2 people; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false
    ");
    let rows = files::enrolled(&context, "people.enrolled.csv");
    let told: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.status.as_str())).collect();
    assert_eq!(
        told,
        [
            ("T-000", "already"),
            ("T-001", "already"),
            ("GONE", "enrolled"),
            ("T-003", "enrolled"),
            ("NEW", "already"),
        ]
    );
    each_has_a_link_of_their_own(&rows);
    assert_eq!((context.stats().posts, context.stats().duplicates), (5, 0));
}

#[test]
fn an_address_that_this_ledger_has_registered_is_not_given_to_somebody_else() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    run(&context, "").expect(0);
    context.file("people.csv", guests(2).replace("T-001,", "T-777,"));
    run(&context, "").expect(3);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("T-777") && rejects.contains("exists-on-server"), "{rejects}");
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn one_registration_is_one_persons_whatever_changed_hands() {
    let context = Context::new();
    // Another tool has registered T-000 with the address that T-001 has in the list.
    context.file("people.csv", guests(1).replace("ada0@", "ada1@"));
    run(&context, "--ledger other.ledger").expect(0);
    context.file("people.csv", guests(2));
    run(&context, "").expect(3);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["T-000"]);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("T-001") && rejects.contains("exists-on-server"), "{rejects}");
    assert_eq!(context.stats().posts, 1);
}

#[test]
fn an_id_that_the_webinar_holds_for_somebody_else_is_not_theirs() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    run(&context, "--ledger other.ledger --output other.csv").expect(0);
    // Another list, whose ids begin anew, and a ledger that knows nobody.
    context.file("people.csv", guests(1).replace(",Ada0,Byron,ada0@", ",Zoe,Zander,zoe@"));
    run(&context, "").expect(3);
    assert!(files::enrolled(&context, "people.enrolled.csv").is_empty());
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("exists-on-server") && rejects.contains("other names"), "{rejects}");
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn a_row_in_doubt_does_not_take_the_link_of_whoever_had_its_address() {
    let lost = Faults::default().script("typo@example.org", None, Fault::ResetBeforeCommit);
    let context = Context::with(Config { faults: lost, ..Config::default() });
    context.file("people.csv", guests(2).replace("ada1@", "typo@"));
    run(&context, "--on-unknown hold").expect(4);
    // Both addresses are put right: T-001 has the one that T-000 is registered with.
    context.file("people.csv", guests(2).replace("ada0@", "new@").replace("ada1@", "ada0@"));
    run(&context, "").expect(3);
    assert!(files::enrolled(&context, "people.enrolled.csv").is_empty());
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("changed-since-enrolled"), "{rejects}");
    assert!(rejects.contains("exists-on-server"), "{rejects}");
}

#[test]
fn two_people_of_one_address_cannot_both_have_a_link() {
    let context = Context::new();
    context.file("people.csv", guests(3).replace("ada2@", "ADA0@"));
    run(&context, "").expect(3);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("duplicate-email") && rejects.contains("line 2"), "{rejects}");
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn a_list_that_is_sorted_anew_takes_nobodys_address() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    run(&context, "").expect(0);
    let header = guests(0);
    let body = guests(2).replace(&header, "");
    context.file("people.csv", format!("{header}NEW,Eve,Cole,ada1@example.org\n{body}"));
    run(&context, "").expect(3);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["T-000", "T-001"]);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("NEW") && rejects.contains("duplicate-email"), "{rejects}");
    // A row that repeats an enrolled id with another address takes it from nobody.
    let repeat = "T-000,Ada0,Byron,other@example.org\nT-9,Fay,Dean,other@example.org\n";
    context.file("people.csv", format!("{header}{body}{repeat}"));
    run(&context, "").expect(3);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["T-000", "T-001", "T-9"]);
}
