//! Each sample is what it says it is.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use registrant_import::{
    registrant::FaultCode,
    simulator::{Config, EventConfig, EventQuestion},
};

use crate::{context::Context, files};

#[test]
fn attendees_are_enrolled_to_the_last() {
    let context = Context::offline();
    context.sample("attendees.csv");
    assert_snapshot!(context.run("rehearse attendees.csv"), @"
    exit 0
    --- stdout
    40 rows read:
           40  enrolled
    files     attendees.enrolled.csv, attendees.rejects.csv
    rehearsed 40 rows, 50 s at 15/30s
    --- stderr
    the meeting's rule: everyone
    40 new registrants
    ");
    let enrolled = files::enrolled(&context, "attendees.enrolled.csv");
    let ids: Vec<&str> = enrolled.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, files::column(&context, "attendees.csv", "id"), "in the input's order");
    files::each_link_is_its_own(&enrolled);
    assert_eq!(context.read("attendees.rejects.csv").lines().count(), 1, "a header alone");
}

#[test]
fn members_fit_a_meeting_for_the_organization() {
    let context = Context::offline();
    context.sample("members.csv");
    assert_snapshot!(context.run("rehearse members.csv --mode organization"), @"
    exit 0
    --- stdout
    24 rows read:
           24  enrolled
    files     members.enrolled.csv, members.rejects.csv
    rehearsed 24 rows, 18 s at 15/30s
    --- stderr
    the meeting's rule: organization
    24 new registrants
    ");
    let enrolled = files::enrolled(&context, "members.enrolled.csv");
    assert_eq!(enrolled.len(), 24);
    files::each_link_is_its_own(&enrolled);
}

#[test]
fn members_fit_a_meeting_for_everyone_without_what_is_not_sent() {
    let context = Context::offline();
    context.sample("members.csv");
    assert_snapshot!(context.run("rehearse members.csv"), @"
    exit 0
    --- stdout
    24 rows read:
           24  enrolled
    files     members.enrolled.csv, members.rejects.csv
    rehearsed 24 rows, 18 s at 15/30s
    --- stderr
    the meeting's rule: everyone
    24 new registrants
    warning: 24 rows hold a tenantId or userId; a meeting for everyone takes the id alone, so they are not sent
    ");
}

#[test]
fn every_fault_that_check_can_find_is_in_the_sample() {
    let context = Context::offline();
    context.sample("every-fault.csv");
    let ran = context.run("check every-fault.csv --mode organization --rejects faults.csv");
    assert_snapshot!(ran, @r"
    exit 3
    --- stdout
    Encoding    utf-8
    Delimiter   `,`
    Header      line 1, 5 columns
    Recognised  no known system; columns are mapped by their names
    Mapping     id from `id`
                tenantId from `tenantId`
                userId from `userId`
    To override --map 'id=id' --map 'tenantId=tenantId' --map 'userId=userId'

    18 rows read: 4 valid, 14 invalid, 0 left out (mode organization)
    1 of the valid rows repeats an earlier row in every cell, to share its enrolment
            1  other-table
            1  column-count
            1  unclosed-quote
            1  stray-quote
            1  undecodable
            2  missing-id
            1  control-character
            1  spreadsheet-id
            1  error-value
            1  duplicate-id
            1  missing-tenant-id
            2  bad-tenant-id
            2  missing-user-id
            1  bad-user-id
    line 4: missing-id: the id is empty
    line 5: control-character: the id holds the control character U+0009 at position 3
    line 6: spreadsheet-id: the id `…` is a number that a spreadsheet has rounded; export the list again and do not save it from a spreadsheet
    line 7: undecodable: the id holds U+FFFD, the mark of a character that an earlier conversion lost; export the list again as UTF-8
    line 9: duplicate-id: the id `…` stands in line 8 already, and the rows differ; two people must not share a link
    line 10: missing-tenant-id: tenantId is empty
    line 11: bad-tenant-id: tenantId `…` is no GUID
    line 12: missing-user-id: userId is empty
    line 13: bad-user-id: userId `…` is no GUID
    line 14: column-count: the row has 4 cells, the header 5
    … and 4 more; --rejects FILE writes all of them
    --- stderr
    the data ends before line 20: below a blank line stands what reads like another table's header; what follows is not read, but line 20 has an id and is rejected (other-table)
    warning: 1 row repeats an id of an earlier row (`id`) with other cells and is invalid: two people must not share a link. If these are different people, compose an id that tells them apart: --map id='COLUMN+COLUMN'
    ");
    let found: BTreeSet<&str> = FaultCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| context.read("faults.csv").contains(&format!("{code}: ")))
        .collect();
    let webinar = [
        "long-id",
        "missing-first-name",
        "missing-last-name",
        "missing-email",
        "bad-email",
        "duplicate-email",
        "missing-answer",
        "bad-answer",
    ];
    let meeting: BTreeSet<&str> =
        FaultCode::ALL.iter().map(|code| code.as_str()).filter(|c| !webinar.contains(c)).collect();
    assert_eq!(found, meeting);
}

#[test]
fn every_fault_ends_in_one_of_the_files() {
    let context = Context::offline();
    context.sample("every-fault.csv");
    assert_snapshot!(context.run("rehearse every-fault.csv --mode organization"), @"
    exit 3
    --- stdout
    18 rows read:
            4  enrolled
           14  invalid        the file's fault
            2  missing-id             invalid       4, 17
            1  control-character      invalid       5
            1  spreadsheet-id         invalid       6
            1  undecodable            invalid       7
            1  duplicate-id           invalid       9
               and 8 more in the rejects file
    files     every-fault.enrolled.csv, every-fault.rejects.csv
    next      mend the 14 rows before the real import
    rehearsed 3 rows, 0 s at 15/30s
    --- stderr
    the meeting's rule: organization
    the data ends before line 20: below a blank line stands what reads like another table's header; what follows is not read, but line 20 has an id and is rejected (other-table)
    3 new registrants, 14 invalid
    warning: 1 row repeats an id of an earlier row (`id`) with other cells and is invalid: two people must not share a link. If these are different people, compose an id that tells them apart: --map id='COLUMN+COLUMN'
    ");
    assert_snapshot!(context.read("every-fault.rejects.csv"), @r#"
    id,tenantId,userId,name,note,_line,_outcome,_code,_reason
    ,[guid],[guid],Bjorn Bellweather,missing-id,4,invalid,missing-id,missing-id: the id is empty
    f-	04,[guid],[guid],Chiara Castellane,control-character: a tab in the id,5,invalid,control-character,control-character: the id holds the control character U+0009 at position 3
    1.84416E+10,[guid],[guid],Daniel Dunmore,spreadsheet-id,6,invalid,spreadsheet-id,spreadsheet-id: the id `1.84416E+10` is a number that a spreadsheet has rounded; export the list again and do not save it from a spreadsheet
    f-�6,[guid],[guid],Élodie Eriksholm,undecodable,7,invalid,undecodable,"undecodable: the id holds U+FFFD, the mark of a character that an earlier conversion lost; export the list again as UTF-8"
    f-07,[guid],[guid],Greta Grünfeld,duplicate-id,9,invalid,duplicate-id,"duplicate-id: the id `f-07` stands in line 8 already, and the rows differ; two people must not share a link"
    f-09,,[guid],Hiroshi Halloran,missing-tenant-id,10,invalid,missing-tenant-id,missing-tenant-id: tenantId is empty
    f-10,example.org,[guid],Ingrid Ibsenholt,bad-tenant-id,11,invalid,bad-tenant-id,bad-tenant-id: tenantId `example.org` is no GUID
    f-11,[guid],,João Jankowiak,missing-user-id,12,invalid,missing-user-id,missing-user-id: userId is empty
    f-12,[guid],0cfff054-8efb-4442-b38e-0b77d5f860c,Katya Kestrelby,bad-user-id: a digit is missing,13,invalid,bad-user-id,bad-user-id: userId `0cfff054-8efb-4442-b38e-0b77d5f860c` is no GUID
    f-13,[guid],Liam Lindqvarn,column-count: the userId is missing altogether,14,invalid,column-count,"column-count: the row has 4 cells, the header 5"
    f-14,[guid],[guid],"Maren "the hall" Montclaire",stray-quote,15,invalid,stray-quote,stray-quote: text follows the closing quote of column `name`; a quote inside a quoted cell is written twice
    f-15,[guid],[guid],"Nadia Nakagami,unclosed-quote,16,invalid,unclosed-quote,unclosed-quote: the quote that opens column `name` in line 16 is not closed
     ,#N/A,,Óscar Okonjo-Reyes,four faults in one row,17,invalid,missing-id,"missing-id: the id is empty; error-value: column `tenantId` holds `#N/A`, a spreadsheet's word for a value that it does not have; correct the formula or enter the value; bad-tenant-id: tenantId `#N/A` is no GUID; missing-user-id: userId is empty"
    session,room,floor,speaker,other-table: below a blank line stands what reads like another header,20,invalid,other-table,"other-table: line 20 looks like the header of another table; if its rows belong to the list, delete that line or the blank one above it"
    "#);
    let enrolled = files::enrolled(&context, "every-fault.enrolled.csv");
    let ids: Vec<&str> = enrolled.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["f-01", "f-01", "f-07", "f-17"]);
    assert_eq!(enrolled[0].link, enrolled[1].link, "rows equal in every cell share one link");
    files::each_link_is_its_own(&enrolled);
}

#[test]
fn an_eventbrite_export_is_recognised() {
    let context = Context::offline();
    context.sample("eventbrite.csv");
    assert_snapshot!(context.run("check eventbrite.csv"), @r"
    exit 0
    --- stdout
    Encoding    utf-8
    Delimiter   `,`
    Header      line 1, 25 columns
    Recognised  Eventbrite attendee summary (preset eventbrite)
    Mapping     id from `Attendee #`
                firstName from `First Name`
                lastName from `Last Name`
                email from `Email`
    Left out    preset eventbrite: `Attendee Status` is Not Attending, Refunded, Deleted, Cancelled, Canceled
    To override --map 'id=Attendee #' --map 'firstName=First Name' --map 'lastName=Last Name' --map 'email=Email'

    28 rows read: 22 valid, 0 invalid, 6 left out (mode everyone)
    --- stderr
    6 rows left out by preset eventbrite: `Attendee Status` is Not Attending, Refunded, Deleted, Cancelled, Canceled
    ");
    assert_snapshot!(context.run("rehearse eventbrite.csv --keep 'First Name,Last Name'"), @"
    exit 0
    --- stdout
    28 rows read:
           22  enrolled
            6  excluded       left out by filters
    files     eventbrite.enrolled.csv, eventbrite.rejects.csv
    rehearsed 22 rows, 14 s at 15/30s
    --- stderr
    the meeting's rule: everyone
    6 rows left out by preset eventbrite: `Attendee Status` is Not Attending, Refunded, Deleted, Cancelled, Canceled
    22 new registrants, 6 left out by filters
    ");
    let enrolled = files::enrolled(&context, "eventbrite.enrolled.csv");
    assert_eq!(enrolled.len(), 22);
    files::each_link_is_its_own(&enrolled);
}

#[test]
fn an_eventbrite_export_is_imported_with_a_mapping() {
    let context = Context::offline();
    context.sample("eventbrite.csv");
    let line = "rehearse eventbrite.csv --preset none --map 'id=Attendee #' \
                --where 'Attendee Status=Attending,Checked In'";
    assert_snapshot!(context.run(line), @"
    exit 0
    --- stdout
    28 rows read:
           22  enrolled
            6  excluded       left out by filters
    files     eventbrite.enrolled.csv, eventbrite.rejects.csv
    rehearsed 22 rows, 14 s at 15/30s
    --- stderr
    the meeting's rule: everyone
    6 rows left out by --where 'Attendee Status=Attending,Checked In'
    22 new registrants, 6 left out by filters
    ");
    assert_eq!(files::enrolled(&context, "eventbrite.enrolled.csv").len(), 22);
}

#[test]
fn an_order_number_is_no_id() {
    let context = Context::new();
    context.sample("eventbrite.csv");
    let ran = context.run("run eventbrite.csv --meeting m1 --map 'id=Order #'");
    assert_snapshot!(ran, @r"
    exit 2
    --- stderr
    the meeting's rule: everyone
    error: `Order #` is no id of a person: 3 of 22 rows repeat an id of an earlier row for somebody else, as an order number does; map the better column with --map 'id=Attendee #'
    ");
    assert_eq!(context.stats().posts, 0);
}

const CONFIRMED: &str = "--map 'id=Registration No' --where Status=confirmed";

#[test]
fn a_webinars_people_are_registered_with_their_answers() {
    let context = Context::offline();
    context.sample("webinar.csv");
    let form = "--question 'choice:Which city?=Ghent;London;Online' --question optional:choices:Topics=Accessibility;Scheduling;Reporting \
                --question 'optional:yes-no:Been here before?' --question 'Job title'";
    let answers = "--map 'answer:Which city?=Which city?' --map answer:Topics=Topics \
                   --map 'answer:Been here before?=Been here before?' --map 'answer:Job title=Job title'";
    let ran = context.run(&format!("rehearse webinar.csv --webinar {CONFIRMED} {form} {answers}"));
    assert_snapshot!(ran, @"
    exit 0
    --- stdout
    30 rows read:
           27  enrolled
            3  excluded       left out by filters
    files     webinar.enrolled.csv, webinar.rejects.csv

    This was a rehearsal: nobody was enrolled, the links lead nowhere.
    The real import of 27 rows would take at least 24 s
    (Microsoft's published limit, 15/30s).
    --- stderr
    the webinar's audience: everyone
    3 rows left out by --where 'Status=confirmed'
    27 new registrants, 3 left out by filters
    warning: Teams mails everybody whom it registers: 27 people; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false
    ");
    let enrolled = files::enrolled(&context, "webinar.enrolled.csv");
    assert_eq!(enrolled.len(), 27);
    let links: BTreeSet<&str> = enrolled.iter().map(|row| row.link.as_str()).collect();
    assert_eq!(links.len(), 27, "each has a link of their own");
    let ran = context.run(&format!("rehearse webinar.csv --webinar {CONFIRMED} {form}")).expect(2);
    assert!(ran.stderr.contains("requires an answer to `Which city?` and `Job title`"), "{ran}");
}

/// The lines of the sample job that are commented out for a webinar, without their marks.
fn job_for_a_webinar() -> String {
    let sample = include_str!("../../samples/job.toml");
    let (mut text, mut of_a_webinar) = (String::new(), false);
    for line in sample.lines() {
        let bare = line.strip_prefix("# ").unwrap_or_default();
        of_a_webinar |= bare.starts_with("webinar = ");
        of_a_webinar &= line.starts_with("# ");
        let other =
            ["map = ", "meeting = ", "organizer = "].iter().any(|key| line.starts_with(key));
        if !other {
            text.push_str(if of_a_webinar { bare } else { line });
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_sample_job_has_a_webinars_lines_too() {
    let context = Context::with(Config {
        event: EventConfig {
            questions: vec![EventQuestion::text("Which city?")],
            ..EventConfig::default()
        },
        ..Config::default()
    });
    context.sample("webinar.csv");
    let job = job_for_a_webinar().replace("attendees.csv", "webinar.csv");
    assert!(job.contains("\nwebinar = ") && job.contains("\nset = "), "{job}");
    context.file("job.toml", job);
    let check = context.run("check --job job.toml").expect(0);
    assert!(check.stdout.contains("27 valid, 0 invalid, 3 left out (webinar)"), "{check}");
    let token = [("REGISTRANT_IMPORT_AUTH", "token"), ("GRAPH_TOKEN", "opaque")];
    let ran = context.run_with(&token, "run --job job.toml --rate 1000/s").expect(0);
    assert!(ran.stdout.contains("27  enrolled"), "{ran}");
    assert_eq!(context.stats().created, 27);
}
