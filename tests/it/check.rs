//! `check --webinar`: an export held against a webinar's rule, without a network.

use insta::assert_snapshot;
use serde_json::json;

use crate::context::Context;

const PEOPLE: &str = "id,Full Name,E-Mail,Source\n\
    1,Ada King,ada@example.org,web\n\
    2,\"King, Ben\",ADA@example.org,web\n\
    3,Plato,plato@example.org,\n\
    4,Cy Young,nobody,mail\n\
    1,Ada King,ada@example.org,web\n";

const NAMES: &str = "--map 'firstName=full name' --map 'lastName=full name'";

#[test]
fn rows_are_held_against_the_webinars_rule() {
    let context = Context::offline();
    context.file("people.csv", PEOPLE);
    let ran = context.run(&format!(
        "check people.csv --webinar {NAMES} --set name-order=first-last --map referrer=source --rejects faults.csv"
    ));
    assert_snapshot!(ran, @r"
    exit 3
    --- stdout
    Encoding    utf-8
    Delimiter   `,`
    Header      line 1, 4 columns
    Recognised  no known system; columns are mapped by their names
    Mapping     id from `id`
                firstName from `Full Name`, split first-last
                lastName from `Full Name`, split first-last
                email from `E-Mail`
                referrer from `Source`
    To override --map 'id=id' --map 'firstName=Full Name' --map 'lastName=Full Name' --map 'email=E-Mail' --map 'referrer=Source' --set 'name-order=first-last'

    5 rows read: 2 valid, 3 invalid, 0 left out (webinar)
    1 of the valid rows repeats an earlier row in every cell, to share its enrolment
            1  missing-last-name
            1  bad-email
            1  duplicate-email
    line 3: duplicate-email: the e-mail address stands in line 2 already, with another id; Teams keeps one registration for each address
    line 4: missing-last-name: lastName is empty
    line 5: bad-email: email `…` cannot be an address
    --- stderr
    warning: 1 row holds the e-mail address of an earlier row with another id (`E-Mail`) and is invalid: Teams keeps one registration for each address. Give each person an address of their own
    ");
    assert_snapshot!(context.read("faults.csv"), @r#"
    id,Full Name,E-Mail,Source,_line,_outcome,_code,_reason
    2,"King, Ben",ADA@example.org,web,3,invalid,duplicate-email,"duplicate-email: the e-mail address stands in line 2 already, with another id; Teams keeps one registration for each address"
    3,Plato,plato@example.org,,4,invalid,missing-last-name,missing-last-name: lastName is empty
    4,Cy Young,nobody,mail,5,invalid,bad-email,bad-email: email `nobody` cannot be an address
    "#);
}

#[test]
fn what_a_program_reads_says_that_the_rule_was_a_webinars() {
    let context = Context::offline();
    context.file("people.csv", PEOPLE);
    let line = format!(
        "check people.csv --webinar {NAMES} --set name-order=last-first --set referrer=list --json"
    );
    assert_eq!(
        context.run(&line).expect(3).json(),
        json!({
            "mode": "webinar", "read": 5, "valid": 2, "invalid": 3, "excluded": 0,
            "detected": {
                "encoding": "utf-8", "delimiter": ",", "headerLine": 1, "preset": null
            },
            "mapping": {
                "id": "id", "firstName": "Full Name", "lastName": "Full Name", "email": "E-Mail",
                "referrer": "=list", "name-order": "=last-first"
            },
            "exitCode": 3
        })
    );
}

#[test]
fn a_whole_name_is_not_split_unless_it_is_told_how() {
    let context = Context::offline();
    context.file("people.csv", PEOPLE);
    for (more, told) in [
        ("", "error: people.csv: no column for `firstName`, which a webinar or town hall requires"),
        (NAMES, "error: `Full Name` is mapped to firstName and to lastName; say how it is split"),
        (
            "--set name-order=first-last",
            "error: --set name-order=first-last: firstName and lastName",
        ),
        ("--set name-order=both", "`both` is no order of names"),
        ("--mode everyone", "the argument '--webinar' cannot be used with '--mode <MODE>'"),
    ] {
        let ran = context.run(&format!("check people.csv --webinar {more}")).expect(2);
        assert!(ran.stderr.contains(told), "{more}: {}", ran.stderr);
    }
}

/// Where the webinar is named for `run`, `check` knows that it is one.
#[test]
fn a_variable_or_a_job_file_that_names_the_webinar_is_enough() {
    let context = Context::offline();
    context.file("people.csv", "id,firstname,lastname,email\n1,Ada,King,ada@example.org\n2,,,\n");
    context.file("import.toml", "csv = \"people.csv\"\nwebinar = \"88b245ac@f9448ec4\"\n");
    let told = "2 rows read: 1 valid, 1 invalid, 0 left out (webinar)";
    let ran = context.run("check people.csv --townhall").expect(3);
    assert!(ran.stdout.contains("left out (town hall)"), "{ran}");
    let ran = context.run("check people.csv --townhall --json").expect(3);
    assert_eq!(ran.json()["mode"], "townhall");
    let named = context.run_with(&[("REGISTRANT_IMPORT_WEBINAR", "88b2@f944")], "check people.csv");
    let named = named.expect(3);
    assert!(named.stdout.contains(told), "{}", named.stdout);
    let job = context.run("check --job import.toml");
    let job = job.expect(3);
    assert!(job.stdout.contains(told), "{}", job.stdout);
    let none = context.run("check people.csv");
    assert!(none.expect(0).stdout.contains("2 valid, 0 invalid, 0 left out (mode everyone)"));
}
