//! Columns and rows chosen, fields set, ids composed; the ways an export comes in.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use insta::assert_snapshot;
use registrant_import::{
    registrant::Mode,
    simulator::{Config, RegistrationState},
};

use crate::{
    context::Context,
    files,
    people::{crowd, guid},
};

#[test]
fn columns_are_kept_and_rows_chosen() {
    let context = Context::new();
    context.file("people.csv", "id,Name,Ticket\n1,\"Ada, M.D.\",VIP\n2,Ben,Day\n3,Cy,VIP\n");
    let run = |more: &str| context.run(&format!("run people.csv --meeting m1 {more}")).expect(0);
    run("--where ticket=VIP --keep name");
    let text = context.read("people.enrolled.csv");
    assert_eq!(text.lines().next(), Some("id,joinWebUrl,registrantId,status,Name"));
    assert_eq!(files::column(&context, "people.enrolled.csv", "Name"), ["Ada, M.D.", "Cy"]);
    run("--keep-all");
    let text = context.read("people.enrolled.csv");
    assert_eq!(text.lines().next(), Some("id,joinWebUrl,registrantId,status,Name,Ticket"));
    assert_eq!(files::column(&context, "people.enrolled.csv", "Ticket"), ["VIP", "Day", "VIP"]);
    // The enrolled file for input: its old links stand beside no new ones.
    let again =
        "run people.enrolled.csv --meeting m1 --keep-all --output again.csv --rejects no.csv";
    let told = context.run(again).expect(0);
    let left_out = "not kept: columns `id`, `joinWebUrl`, `registrantId`, `status`";
    assert!(told.stderr.contains(left_out), "{}", told.stderr);
    let text = context.read("again.csv");
    assert_eq!(text.lines().next(), Some("id,joinWebUrl,registrantId,status,Name,Ticket"));
}

#[test]
fn a_field_is_set_for_every_row() {
    let context = Context::with(Config {
        registration: RegistrationState::External(Mode::Organization),
        ..Config::default()
    });
    context.file("people.csv", format!("id,userId\na,{}\n", guid(1)));
    let set = format!("--set tenantId={}", guid(9));
    context.run(&format!("run people.csv --meeting m1 {set}")).expect(0);
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 1);
}

#[test]
fn an_id_is_composed_and_prefixed() {
    let context = Context::new();
    context.file("people.csv", "Order,Pos\nA,1\nA,2\n");
    context.run("run people.csv --meeting m1 --map id=order+pos --id-prefix 2026/").expect(0);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["2026/A-1", "2026/A-2"]);
    files::each_link_is_its_own(&rows);
}

#[test]
fn a_spreadsheet_executes_no_cell_of_a_formula_safe_file() {
    let context = Context::new();
    context.file("people.csv", "id,name\n=1+1,@sum\n-2,plain\n,+49\n");
    context.run("run people.csv --meeting m1 --keep name --formula-safe").expect(3);
    assert_eq!(files::column(&context, "people.enrolled.csv", "id"), ["'=1+1", "'-2"]);
    assert_eq!(files::column(&context, "people.enrolled.csv", "name"), ["'@sum", "plain"]);
    assert!(context.read("people.rejects.csv").contains("\n,'+49,"));
    let books = context.simulator().books();
    assert_eq!(books.links().into_keys().collect::<Vec<_>>(), ["-2", "=1+1"], "sent verbatim");
}

#[test]
fn standard_input_needs_names_for_its_files() {
    let context = Context::new();
    assert_snapshot!(context.run_on(b"id\na\n", "run - --meeting m1"), @r"
    exit 2
    --- stderr
    error: standard input has no name to make the files' names from; name them with --output FILE and --rejects FILE
    ");
    let named = "run - --meeting m1 --output in.csv --rejects out.csv";
    assert_snapshot!(context.run_on(b"id\na\n\"b\n", named), @"
    exit 3
    --- stdout
    2 rows read:
            1  enrolled
            1  invalid        the file's fault
            1  unclosed-quote         invalid       3
    files     in.csv, out.csv, meeting-m1
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
    --- stderr
    no column tells people apart, neither names nor e-mail addresses: ids that come to other people cannot be noticed
    the meeting's rule: everyone
    1 new registrant, 1 invalid; the pace is found out on the way (Microsoft publishes no limit for meetings)
    ");
    assert_eq!(files::enrolled(&context, "in.csv").len(), 1);
    assert_eq!(context.read("out.csv").lines().count(), 2);
}

#[test]
fn a_packed_export_is_read_as_it_is() {
    let context = Context::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(crowd(3).as_bytes()).expect("a Vec takes it");
    context.file("people.csv.gz", gzip.finish().expect("a Vec takes it"));
    context.run("run people.csv.gz --meeting m1").expect(0);
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 3);
}
