//! Whatever is wrong with what the user gave: one sentence that names it, the next step, the right
//! exit code, and nothing posted.

use insta::assert_snapshot;
use registrant_import::simulator::{ApiRefusal, Config, TokenRule};

use crate::{
    context::{Context, Ran},
    people::crowd,
};

/// Runs `run CSV --meeting m1` on a file of this content.
fn run_on(csv: impl AsRef<[u8]>, more: &str) -> Ran {
    let context = Context::new();
    context.file("people.csv", csv);
    let ran = context.run(&format!("run people.csv --meeting m1 {more}"));
    assert_eq!(context.stats().posts, 0, "{ran}");
    ran
}

/// Runs it against a Graph with these settings.
fn run_against(config: Config, meeting: &str) -> Ran {
    let context = Context::with(config);
    context.file("people.csv", crowd(2));
    let ran = context.run(&format!("run people.csv --meeting {meeting}"));
    assert_eq!(context.stats().created, 0, "{ran}");
    ran
}

/// Asserts that a run of two rows was stopped before the first; gives what it said of that.
#[track_caller]
fn nobody_sent(ran: &Ran, meeting: &str, reason: &str) -> String {
    assert_eq!(ran.code, Some(6), "{ran}");
    let (_, summary) = ran.stdout.split_once(":\n").unwrap_or_default();
    let (summary, ledger) = summary.split_once("\nledger    ").unwrap_or_default();
    let expected = format!(
        "
        2  not attempted  the run did not get to them

     rows  reason                 outcome       example lines
        2  {reason:<22} not attempted 2, 3

enrolled  people.enrolled.csv
rejects   people.rejects.csv"
    );
    assert_eq!(summary, expected, "{ran}");
    assert!(ledger.contains(&format!("/meeting-{meeting}-")), "{ran}");
    let next = "mend the cause above, then run the same command again: it goes on with\n          the 2 rows\n";
    assert!(ledger.ends_with(&format!(".ledger\nnext      {next}")), "{ran}");
    ran.stderr.clone()
}

#[test]
fn no_such_file() {
    let context = Context::new();
    assert_snapshot!(context.run("run nobody.csv --meeting m1"), @r"
    exit 2
    --- stderr
    error: nobody.csv: no such file; give the path of the CSV export, or `-` for standard input
    ");
    assert_snapshot!(context.run("check nobody.csv"), @r"
    exit 2
    --- stderr
    error: nobody.csv: no such file; give the path of the CSV export, or `-` for standard input
    ");
}

#[test]
fn a_folder() {
    let context = Context::new();
    std::fs::create_dir(context.path("people.csv")).expect("a folder");
    assert_snapshot!(context.run("run people.csv --meeting m1"), @r"
    exit 2
    --- stderr
    error: people.csv: this is a folder; give the path of the CSV export in it
    ");
}

#[test]
fn an_empty_file() {
    assert_snapshot!(run_on("", ""), @r"
    exit 2
    --- stderr
    error: people.csv: the file is empty; export the list again
    ");
}

#[test]
fn a_header_alone() {
    assert_snapshot!(run_on("id,name\n", ""), @r"
    exit 2
    --- stderr
    error: people.csv: no rows: nothing stands under the header of line 1; check the export's filter, or add --allow-empty
    ");
}

#[test]
fn no_id_column() {
    assert_snapshot!(run_on("name,email\nAda,ada@example.org\n", ""), @r"
    exit 2
    --- stderr
    the meeting's rule: everyone
    error: people.csv: no column for `id`; the columns in line 1 are `name`, `email`; choose one with --map 'id=COLUMN'; if line 1 is not the header, name the lines above it with --skip-lines N
    ");
}

#[test]
fn no_user_column_for_the_organization() {
    let context = Context::offline();
    context.file("people.csv", crowd(1));
    assert_snapshot!(context.run("check people.csv --mode organization"), @r"
    exit 2
    --- stdout
    Encoding    utf-8
    Delimiter   `,`
    Header      line 1, 2 columns
    Recognised  no known system; columns are mapped by their names
    Mapping     id from `id`
    To override --map 'id=id'
    --- stderr
    error: people.csv: no column for `tenantId`, which a meeting in mode `organization` requires; the columns in line 1 are `id`, `name`; choose one with --map 'tenantId=COLUMN' or fill it with --set 'tenantId=VALUE'
    ");
}

#[test]
fn a_mapped_column_that_is_not_there() {
    assert_snapshot!(run_on(crowd(1), "--map id=Nmae"), @r"
    exit 2
    --- stderr
    error: --map 'id=Nmae': the header in line 1 has no column `Nmae` (did you mean `name`?); its columns are `id`, `name`
    ");
    assert_snapshot!(run_on(crowd(1), "--where Status=Going"), @r"
    exit 2
    --- stderr
    error: --where 'Status=Going': the header in line 1 has no column `Status`; its columns are `id`, `name`
    ");
    assert_snapshot!(run_on(crowd(1), "--keep Email"), @r"
    exit 2
    --- stderr
    error: --keep 'Email': the header in line 1 has no column `Email`; its columns are `id`, `name`
    ");
}

#[test]
fn a_field_that_does_not_exist() {
    assert_snapshot!(run_on(crowd(1), "--map ident=id"), @r"
    exit 2
    --- stderr
    error: invalid value 'ident=id' for '--map <FIELD=COLUMN>': `ident` is no field; the fields are id, tenantId, userId (meeting) and id, firstName, lastName, email, preferredLanguage, preferredTimezone, referrer, answer:QUESTION (webinar, town hall)

    For more information, try '--help'.
    ");
}

#[test]
fn bytes_that_are_no_text() {
    assert_snapshot!(run_on(b"id,name\n1,Gr\xfcn\n", "--encoding utf-8"), @r"
    exit 2
    --- stderr
    error: people.csv: byte 12 in line 2 is not utf-8; the file looks like windows-1252, pass --encoding windows-1252 (or export it as UTF-8)
    ");
}

#[test]
fn a_workbook() {
    assert_snapshot!(run_on(b"PK\x03\x04....", ""), @r"
    exit 2
    --- stderr
    error: people.csv: the spreadsheet is cut or damaged (its zip archive cannot be read); export or copy it again, or save the sheet as `CSV UTF-8`
    ");
}

#[test]
fn no_csv_and_no_target() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    assert_snapshot!(context.run("run --meeting m1"), @r"
    exit 2
    --- stderr
    error: no CSV is named: give a file, `-` for standard input, or --input-command
    ");
    assert_snapshot!(context.run("run people.csv"), @"
    exit 2
    --- stderr
    error: no target is named: give --meeting ID, --webinar ID or --townhall ID
    ");
    assert_snapshot!(context.run("registration show"), @"
    exit 2
    --- stderr
    error: no meeting is named: give --meeting ID
    ");
}

#[test]
fn a_meeting_that_is_not_there() {
    assert_snapshot!(nobody_sent(&run_against(Config::default(), "missing-1"), "missing-1", "target-gone"), @r"error: stopped: Graph knows no registration of this meeting (404 NotFound); check the meeting's id and --organizer, or switch external registration on: `registrant-import registration enable --allow everyone` (or `run --enable everyone`)");
}

#[test]
fn a_token_that_is_refused() {
    let mut config = Config::default();
    config.tokens.rule = TokenRule::Issued;
    assert_snapshot!(nobody_sent(&run_against(config.clone(), "m1"), "m1", "sign-in"), @r"error: stopped: sign-in failed: Graph refused the token (401) and a run without a credential gives the same one again: get a new one, made for Microsoft Graph");
    let context = Context::with(config);
    context.file("people.csv", crowd(2));
    let token = [("GRAPH_TOKEN", "not-one-of-theirs")];
    assert_snapshot!(nobody_sent(&context.run_with(&token, "run people.csv --meeting m1"), "m1", "sign-in"), @r"error: stopped: sign-in failed: Graph refused the token (401) and GRAPH_TOKEN gives the same one again: get a new one, made for Microsoft Graph");
}

#[test]
fn no_credential_at_all() {
    let context = Context::offline();
    context.file("people.csv", crowd(1));
    assert_snapshot!(context.run("run people.csv --meeting m1"), @r"
    exit 2
    --- stderr
    error: no credential was found: set GRAPH_TOKEN, or AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE; or run `registrant-import login`; or choose --auth managed-identity or --auth azure-cli
    ");
}

#[test]
fn a_permission_that_is_missing() {
    let refuse = |how| Config { refuse: Some(how), ..Config::default() };
    assert_snapshot!(nobody_sent(&run_against(refuse(ApiRefusal::Forbidden), "m1"), "m1", "forbidden"), @r"error: stopped: Graph forbids it (403 Forbidden); the app or user needs the permission OnlineMeetings.ReadWrite (delegated) or OnlineMeetings.ReadWrite.All (application) with consent, and an application must be allowed to act for the organizer by an application access policy");
    assert_snapshot!(nobody_sent(&run_against(refuse(ApiRefusal::AccessPolicy), "m1"), "m1", "forbidden"), @r#"error: stopped: Graph forbids it (403 Unauthorized); a Teams administrator has to allow the app to act for the organizer: `New-CsApplicationAccessPolicy -Identity import -AppIds "<client id>"`, then `Grant-CsApplicationAccessPolicy -PolicyName import -Identity "<organizer's object id>"`; it takes up to 30 minutes to act"#);
}

#[test]
fn an_api_that_has_ended() {
    let refuse = |how| Config { refuse: Some(how), ..Config::default() };
    assert_snapshot!(nobody_sent(&run_against(refuse(ApiRefusal::Gone), "m1"), "m1", "api-retired"), @"error: stopped: Graph answered 410 Gone: Microsoft has announced the end of the meeting registration API (no data after 12 December 2024); its successors are the webinar (`run --webinar ID`) and the town hall (`run --townhall ID`)");
    assert_snapshot!(run_against(refuse(ApiRefusal::NoData), "m1"), @"
    exit 6
    --- stdout
    2 rows read:
            1  unknown        perhaps on the server, no link held
            1  not attempted  the run did not get to them
            1  no-link                unknown       2
            1  api-retired            not attempted 3
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the cause above, then run the same command again: it goes on with
              the 2 rows
    --- stderr
    the meeting's rule: everyone
    2 new registrants; the pace is found out on the way (Microsoft publishes no limit for meetings)
    error: stopped: Graph answered the first row with 200 and without a join link: Microsoft has announced the end of the meeting registration API (no data after 12 December 2024); its successors are the webinar (`run --webinar ID`) and the town hall (`run --townhall ID`)
    ");
}

#[test]
fn places_that_take_no_file() {
    assert_snapshot!(run_on(crowd(1), "--output no/such/folder.csv"), @r"
    exit 2
    --- stderr
    error: no/such/folder.csv: there is no folder no/such; create it or name another file with --output
    ");
    assert_snapshot!(run_on(crowd(1), "--rejects ."), @r"
    exit 2
    --- stderr
    error: . is a folder; name a file with --rejects
    ");
    assert_snapshot!(run_on(crowd(1), "--output people.csv"), @r"
    exit 2
    --- stderr
    error: --output names the input itself; name another file
    ");
    assert_snapshot!(run_on(crowd(1), "--output a.csv --rejects a.csv"), @r"
    exit 2
    --- stderr
    error: --output and --rejects name the same file; name two
    ");
}

#[test]
fn a_ledger_that_is_none_or_anothers() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    assert_snapshot!(context.run("run people.csv --meeting m1 --ledger people.csv"), @r"
    exit 2
    --- stderr
    error: people.csv: this file is no ledger of registrant-import; name another with --ledger, nothing was changed
    ");
    context.run("run people.csv --meeting m1 --ledger m1.ledger").expect(0);
    assert_snapshot!(context.run("run people.csv --meeting m2 --ledger m1.ledger"), @r"
    exit 2
    --- stderr
    error: m1.ledger: the ledger belongs to meeting m1 at this machine, not to meeting m2 at this machine; name another with --ledger
    ");
    assert_snapshot!(context.run("status --ledger no.ledger"), @r"
    exit 2
    --- stderr
    error: no.ledger: there is no ledger here yet; `run` creates it
    ");
    assert_snapshot!(context.run("status"), @"
    exit 2
    --- stderr
    error: no ledger is named: give --ledger FILE, --meeting ID, --webinar ID or --townhall ID, or the job file that names one of them (--job FILE.toml)
    ");
    assert_snapshot!(context.run("explain nobody --ledger m1.ledger"), @r"
    exit 2
    --- stderr
    error: m1.ledger: no run has sent or listed an id like this one; ids are compared to the letter
    ");
    assert_eq!(context.stats().posts, 1);
}

#[test]
fn values_that_cannot_be_read() {
    for (option, value) in [
        ("--rate", "fast"),
        ("--max-duration", "50"),
        ("--finish-by", "25:00"),
        ("--max-rejects", "some"),
        ("--delimiter", "ab"),
        ("--encoding", "klingon"),
        ("--preset", "evntbrite"),
        ("--enable", "all"),
        ("--graph-url", "ftp://example.org"),
        ("--graph-url", "http://example.org"),
        ("--auth", "magic"),
        ("--concurrency", "0"),
    ] {
        let ran = run_on(crowd(1), &format!("{option} {value}"));
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(option), "{option} is not named: {ran}");
        assert!(!ran.stderr.contains("panicked"), "{ran}");
    }
}

#[test]
fn a_rehearsal_never_replaces_real_links() {
    let context = Context::offline();
    context.file("people.csv", crowd(1));
    let real = "id,joinWebUrl,registrantId,status\np-00000,https://teams.microsoft.com/l/meetup-join/19%3ameeting_NzU1/0,,enrolled\n";
    context.file("people.enrolled.csv", real);
    assert_snapshot!(context.run("rehearse people.csv"), @r"
    exit 2
    --- stderr
    error: people.enrolled.csv holds real join links, and a rehearsal would replace them; name another file with --output
    ");
    assert_eq!(context.read("people.enrolled.csv"), real);
}
