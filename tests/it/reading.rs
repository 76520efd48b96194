//! What `check` says of an export, and which of its columns the files carry on.

use insta::assert_snapshot;

use crate::{
    context::{Context, Ran},
    files,
};

const HEAD: &str = "id,joinWebUrl,registrantId,status";

/// Semicolons, a title above the header, two columns of one name, a quoted name, a line break.
const EXPORT: &str = "Numbers 2026\nCode;Company;First, last;Company;Price;Registration Status\n\
    A1;Engines;\"Byron; Ada\";Street 1;12,00;paid\nA2;;\"Ben\nBo\";;1,00;paid\nA3;x;Cy;y;2,00;open\n";

fn check(context: &Context, options: &str) -> Ran {
    context.run(&format!("check people.csv {options}"))
}

#[test]
fn an_export_is_described_with_all_that_was_decided() {
    let context = Context::offline();
    context.file("people.csv", [b"\xEF\xBB\xBF".as_slice(), EXPORT.as_bytes()].concat());
    let options = "--map id=code --map 'firstName=First, last' --id-prefix it's- \
                   --set preferredLanguage=de-de --where 'registration_status=Paid,\"a,b\"'";
    assert_snapshot!(check(&context, &options.replace("it's-", "\"it's-\"")), @r#"
    exit 0
    --- stdout
    Encoding    utf-8 with BOM
    Delimiter   `;`
    Header      line 2, 6 columns
    Recognised  no known system; columns are mapped by their names
    Mapping     id from `it's-` + `Code`
                firstName from `First, last`
                preferredLanguage is always `de-de`
    Left out    all but --where 'registration_status=Paid,"a,b"'
    To override --map 'id=Code' --map 'firstName=First, last'

    3 rows read: 2 valid, 0 invalid, 1 left out (mode everyone)
    --- stderr
    the header is taken from line 2
    1 row left out by --where 'registration_status=Paid,"a,b"'
    "#);
}

#[test]
fn what_cannot_be_mapped_is_described_before_the_error() {
    let context = Context::offline();
    context.file("people.csv", EXPORT);
    assert_snapshot!(check(&context, ""), @r"
    exit 2
    --- stdout
    Encoding    utf-8
    Delimiter   `;`
    Header      line 2, 6 columns
    Recognised  no known system; columns are mapped by their names
    Mapping     no field has a column
    --- stderr
    the header is taken from line 2
    no row is left out: if `Registration Status` tells who comes, choose rows with --where 'Registration Status=VALUE,VALUE'
    error: people.csv: no column for `id`; the columns in line 2 are `Code`, `Company`, `First, last`, `Company`, `Price`, `Registration Status`; choose one with --map 'id=COLUMN'; if line 2 is not the header, name the lines above it with --skip-lines N
    ");
}

#[test]
fn doubts_are_said_aloud() {
    let context = Context::offline();
    context.file(
        "people.csv",
        "id,name,RSVP\n17 ,Ada,yes\n18.0,Ben,no\n\nroom,floor,seats\nAula,two,9\n",
    );
    assert_snapshot!(check(&context, "--rejects rejects.csv"), @r##"
    exit 3
    --- stdout
    Encoding    utf-8
    Delimiter   `,`
    Header      line 1, 3 columns
    Recognised  no known system; columns are mapped by their names
    Mapping     id from `id`
    To override --map 'id=id'

    4 rows read: 2 valid, 2 invalid, 0 left out (mode everyone)
            2  other-table
    line 5: other-table: line 5 looks like the header of another table; if its rows belong to the list, delete that line or the blank one above it
    line 6: other-table: line 5 looks like the header of another table; if its rows belong to the list, delete that line or the blank one above it
    --- stderr
    no row is left out: if `RSVP` tells who comes, choose rows with --where 'RSVP=VALUE,VALUE'
    2 ids look accidental (blanks around, invisible characters, a spreadsheet's `'`, `="…"` or `.0`, a word such as NULL), the first in line 2: they are taken as they stand
    the data ends before line 5: below a blank line stands what reads like another table's header; what follows is not read, but 2 rows there have an id and are rejected (other-table), the first is line 5
    "##);
    assert_eq!(files::column(&context, "rejects.csv", "_line"), ["5", "6"]);
    assert_eq!(files::column(&context, "rejects.csv", "_code"), ["other-table", "other-table"]);
    assert_eq!(files::column(&context, "rejects.csv", "id"), ["room", "Aula"]);
}

#[test]
fn columns_are_kept_in_the_order_given() {
    let context = Context::offline();
    context.file("people.csv", EXPORT);
    let keep = |keep: &str| {
        let options = format!("--map id=Code --where 'Registration Status=paid' --keep {keep}");
        context.run(&format!("rehearse people.csv {options}")).expect(0);
        context.read("people.enrolled.csv").lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(keep("'price,Company#2,company#1'"), format!("{HEAD},Price,Company,Company"));
    let kept = |column| files::column(&context, "people.enrolled.csv", column);
    assert_eq!(kept("Price"), ["12,00", "1,00"]);
    let text = context.read("people.enrolled.csv");
    let first = text.lines().nth(1).unwrap_or_default();
    assert!(first.ends_with(",enrolled,\"12,00\",Street 1,Engines"), "{first}");

    assert_eq!(keep("'\"First, last\"'"), format!("{HEAD},\"First, last\""));
    assert_eq!(kept("First, last"), ["Byron; Ada", "Ben\nBo"]);

    assert_eq!(keep("price --keep code"), format!("{HEAD},Price,Code"));
    assert_eq!(keep("''"), HEAD);
}

#[test]
fn a_kept_column_must_be_one_of_the_file() {
    let context = Context::offline();
    context.file("people.csv", EXPORT);
    for (keep, told) in [
        ("Compny#2", "--keep 'Compny#2': the header in line 2 has no column `Compny#2`"),
        ("company", "--keep 'company': the header in line 2 has 2 columns `company`"),
    ] {
        let ran = context.run(&format!("rehearse people.csv --map id=Code --keep {keep}"));
        assert!(ran.clone().expect(2).stderr.contains(told), "{ran}");
        assert!(!context.has("people.enrolled.csv"), "nothing is written");
    }
}
