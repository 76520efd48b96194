use super::*;
use crate::registrant::{FaultCode, Mode, Rule};

pub(super) fn memory(bytes: impl AsRef<[u8]>, options: &Options) -> Result<Input, InputError> {
    let bytes = std::io::Cursor::new(bytes.as_ref().to_vec());
    open_bytes("test.csv", Bytes { from: Box::new(bytes), size: 0, written_at: None }, options)
}

const EVERYONE: Rule = Rule::Meeting(Mode::Everyone);

fn codes(check: &RowCheck, row: &Row) -> String {
    check.faults(row).iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>().join("+")
}

/// Each row as `line outcome id`, which is what must be right about it.
fn judged(input: Input) -> Vec<String> {
    let mut rows = input.into_rows().expect("rows");
    let mut validator = Validator::new(EVERYONE);
    let mut row = Row::new();
    let mut judged = Vec::new();
    while rows.read(&mut row).expect("a row") {
        let outcome = match validator.check(&row) {
            None => "excluded".to_owned(),
            Some(check) if !check.is_valid() => codes(&check, &row),
            Some(RowCheck { repeats: Some(line), .. }) => format!("repeats {line}"),
            Some(check) => check.registrant.expect("valid").id.as_str().to_owned(),
        };
        judged.push(format!("{} {outcome}", row.line()));
    }
    judged
}

fn read(bytes: impl AsRef<[u8]>) -> Vec<String> {
    judged(memory(bytes, &Options::default()).expect("an input"))
}

#[test]
fn ids_are_verbatim_and_lines_physical() {
    assert_eq!(
        read("\u{feff}id,name\r\n007,\"Ada\r\nByron\"\r\n\r\n aB ,x\rAb,\"y\"\n"),
        ["2 007", "5  aB ", "6 Ab"]
    );
}

#[test]
fn a_repeated_id_is_shared_only_by_equal_rows() {
    assert_eq!(
        read("id,name\n1,Ada\n2,Bob\n1,\"Ada\"\n1,Eve\n1,Eve\n,x\n"),
        ["2 1", "3 2", "4 repeats 2", "5 duplicate-id", "6 duplicate-id", "7 missing-id"]
    );
}

#[test]
fn broken_rows_are_rejected_singly() {
    assert_eq!(
        read("id,name\n1,Ada,x\n2\n3,\"Bob\n4,Eve\n5,\"a\" b\n6,\"Zoe\"\n"),
        ["2 column-count", "3 column-count", "4 unclosed-quote", "5 4", "6 stray-quote", "7 6"]
    );
}

#[test]
fn a_quote_that_swallows_rows_is_named_with_its_lines() {
    use std::fmt::Write;
    let mut text = "id,wish,city\n1,\"near door,Rome\n".to_owned();
    for row in 2..500 {
        let _ = writeln!(text, "{row},none,Rome");
    }
    text.push_str("500,TV 19\",Oslo\n501,none,Rome\n");
    let input = memory(&text, &Options::default()).expect("an input");
    let (mut rows, mut row) = (input.into_rows().expect("rows"), Row::new());
    assert!(rows.read(&mut row).expect("a row"));
    let Standing::Broken(faults) = row.standing() else { panic!("the row is broken") };
    assert_eq!((row.raw(), faults.len()), ("1,\"near door,Rome", 1));
    assert!(
        faults[0]
            .sentence
            .starts_with("the quote that opens column `wish` in line 2 is closed in line 501 only"),
        "{}",
        faults[0].sentence
    );
    let judged = read(&text);
    assert_eq!((judged.len(), judged[499].as_str()), (501, "501 500"));
}

#[test]
fn a_rejects_file_is_read_again_without_its_own_columns() {
    let text = "id,name,_line,_outcome,_code,_reason\n1,Ada,2,invalid,bad,x\n2,3,invalid,column-count,\"a, b\"\n3,\"Bob,4,invalid,unclosed-quote,\"q \"\"x\"\" y\"\n4,Eve,5,refused,x,y\n";
    let input = memory(text, &Options::default()).expect("an input");
    assert_eq!(input.header().raw(), "id,name");
    let mut rows = input.into_rows().expect("rows");
    let mut row = Row::new();
    let mut told = Vec::new();
    while rows.read(&mut row).expect("a row") {
        let broken = match row.standing() {
            Standing::Broken(faults) => faults[0].code.as_str(),
            _ => "",
        };
        told.push(format!("{} {} {broken}", row.line(), row.raw()));
    }
    assert_eq!(told, ["2 1,Ada ", "3 2 column-count", "4 3,\"Bob unclosed-quote", "5 4,Eve "]);
}

#[test]
fn a_snapshot_is_read_many_times_at_once() {
    let input = memory("x\n\nid;n\n1;a\n2;b\n", &Options::default()).expect("an input");
    let snapshot = input.snapshot(&std::env::temp_dir()).expect("a copy");
    let (mut one, mut two) = (snapshot.rows().expect("rows"), snapshot.rows().expect("rows"));
    let (mut a, mut b) = (Row::new(), Row::new());
    assert!(one.read(&mut a).expect("a row") && one.read(&mut a).expect("a row"));
    assert!(two.read(&mut b).expect("a row"));
    assert_eq!((a.line(), a.raw(), b.line(), b.raw()), (5, "2;b", 4, "1;a"));
    assert!(!one.read(&mut a).expect("the end"));
}

#[test]
fn faults_come_in_their_documented_order() {
    let options = Options { id_prefix: Some("ev-".into()), ..Options::default() };
    let mut rows = memory("id\n1.84416E+10\n1.84416E+10 \n", &options)
        .and_then(Input::into_rows)
        .expect("rows");
    let mut row = Row::new();
    assert!(rows.read(&mut row).expect("a row"));
    assert_eq!(row.fields().id, Some("ev-1.84416E+10"));
    let faults = parse_row(&row, &EVERYONE).expect_err("damaged ids are invalid");
    assert_eq!(faults[0].code, FaultCode::SpreadsheetId);
}

#[test]
fn a_survey_counts_every_row_once_and_stops_when_told() {
    use std::fmt::Write;
    let mut text = "id,name\n".to_owned();
    for row in 0..5000 {
        let _ = writeln!(text, "{},x", if row % 10 == 0 { String::new() } else { row.to_string() });
    }
    let rows = || memory(&text, &Options::default()).and_then(Input::into_rows).expect("rows");
    let counted = survey::<InputError>(&mut rows(), EVERYONE, |_, _| Ok(())).expect("a survey");
    assert_eq!((counted.read, counted.valid, counted.invalid), (5000, 4500, 500));
    let mut told = 0;
    let stopped = survey(&mut rows(), EVERYONE, |_, _| {
        told += 1;
        Err(InputError::SetId)
    });
    assert!(matches!(stopped, Err(InputError::SetId)));
    assert_eq!(told, 1);
    let mut bytes = text.into_bytes();
    bytes.extend(b"\xFF\n".repeat(2));
    bytes.splice(0..0, b"\n".repeat(600_000));
    let damaged = memory(&bytes, &Options::default()).and_then(Input::into_rows);
    assert!(
        damaged
            .and_then(|mut rows| survey::<InputError>(&mut rows, EVERYONE, |_, _| Ok(())))
            .is_err()
    );
}

/// What comes of a text; reading it must end within a minute, and takes less than a second.
fn ends(text: String, options: Options) -> Result<Vec<String>, InputError> {
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(memory(text, &options).map(judged));
    });
    result.recv_timeout(std::time::Duration::from_secs(60)).expect("the reading ends")
}

#[test]
fn a_long_stretch_without_rows_is_read_to_its_end() {
    let blank = "\n".repeat(1_500_000);
    let none = ends(format!("id,name\n{blank}"), Options::default());
    assert!(matches!(none, Err(InputError::NoRows { header_line: 1, .. })));
    let rows = ends(format!("id,name\n{blank}7,Ada\n{blank}8,Ben"), Options::default());
    assert_eq!(rows.expect("rows"), ["1500002 7", "3000003 8"]);
    for filler in ["# a comment\n", "id,name\n", ",\n", " \r\n", "\r", "Staff\n\nid,name\n"] {
        let text = format!("id,name\n{}", filler.repeat(2_000_000 / filler.len()));
        let ended = ends(text, Options::default());
        assert!(matches!(ended, Err(InputError::NoRows { .. })), "{filler:?}");
    }
    let wide = ends(format!("id,name\n7,{}Ada\n", "\"a\" ,".repeat(500_000)), Options::default());
    assert_eq!(wide.expect("rows"), ["2 column-count"]);
    let before = ends(format!("{blank}id,name\n7,Ada\n"), Options::default());
    assert!(matches!(before, Err(InputError::NoHeader { .. })), "{before:?}");
}

mod addresses {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Each row's faults, `first` where it is valid, `again` where it repeats an earlier one.
    fn held(rule: Rule, rows: &str) -> Vec<String> {
        let text = format!("id,first name,last name,email\n{rows}");
        let mut rows = memory(text, &Options::default()).and_then(Input::into_rows).expect("rows");
        let (mut validator, mut row, mut told) = (Validator::new(rule), Row::new(), Vec::new());
        while rows.read(&mut row).expect("a row") {
            told.push(match validator.check(&row) {
                None => "excluded".to_owned(),
                Some(check) if !check.is_valid() => codes(&check, &row),
                Some(RowCheck { repeats: Some(_), .. }) => "again".to_owned(),
                Some(_) => "first".to_owned(),
            });
        }
        told
    }

    #[test]
    fn two_ids_with_one_address_cannot_both_be_registered() {
        let rows = "1,Ada,B,ada@x.org\n\
                    2,Ada,B, ADA@x.org\n\
                    1,Ada,B,ada@x.org\n\
                    1,Eve,B,ada@x.org\n\
                    3,,B,ben@x.org\n\
                    4,Ben,B,ben@x.org\n\
                    5,,B,Ben@X.org\n\
                    6,Ürs,B,ÜRS@x.org\n\
                    7,Ürs,B,ürs@x.org\n\
                    8,A,B,nobody\n\
                    9,A,B,nobody\n";
        assert_eq!(
            held(Rule::event(), rows),
            [
                "first",
                "duplicate-email",
                "again",
                "duplicate-id",
                "missing-first-name",
                "first",
                "missing-first-name+duplicate-email",
                "first",
                "duplicate-email",
                "bad-email",
                "bad-email",
            ]
        );
        assert!(!held(EVERYONE, rows).contains(&"duplicate-email".to_owned()));
    }

    #[test]
    fn the_first_line_is_named_and_the_address_is_not() {
        let text = "id,firstname,lastname,email\n1,A,B,a@x.org\n\n2,A,B,A@x.org\n";
        let mut rows = memory(text, &Options::default()).and_then(Input::into_rows).expect("rows");
        let (mut validator, mut row) = (Validator::new(Rule::event()), Row::new());
        assert!(rows.read(&mut row).expect("a row"));
        validator.check(&row);
        assert!(rows.read(&mut row).expect("a row"));
        let faults = validator.check(&row).expect("no filter").faults(&row);
        assert_eq!(
            faults[0].sentence,
            "the e-mail address stands in line 2 already, with another id; Teams keeps one registration for each address"
        );
    }

    proptest! {
        /// Whatever the rows: the valid ones have one id for each address and one address for each
        /// id, and a row is invalid only where this would else be broken.
        #[test]
        fn an_address_belongs_to_the_first_valid_id(
            rows in proptest::collection::vec((0..6u8, 0..5u8, any::<bool>(), any::<bool>()), 0..30),
        ) {
            let (mut text, mut by_id, mut by_email) =
                (String::new(), HashMap::new(), HashMap::new());
            let mut wanted = Vec::new();
            for &(id, email, named, loud) in &rows {
                let name = if named { "Ada" } else { "" };
                let address = if loud { format!("E{email}@X.org") } else { format!("e{email}@x.org") };
                let line = format!("{id},{name},B,{address}\n");
                // Ids are claimed by every row, addresses by valid ones.
                let first = by_id.entry(id).or_insert_with(|| line.clone());
                let mut faults = Vec::new();
                if *first != line {
                    faults.push("duplicate-id");
                }
                if !named {
                    faults.push("missing-first-name");
                }
                let holder = by_email.get(&email).copied();
                if holder.is_some_and(|holder| holder != id) {
                    faults.push("duplicate-email");
                } else if faults.is_empty() {
                    by_email.insert(email, id);
                }
                wanted.push(faults.join("+"));
                text.push_str(&line);
            }
            prop_assume!(!text.is_empty());
            let held: Vec<String> = held(Rule::event(), &text)
                .into_iter()
                .map(|told| if told == "first" || told == "again" { String::new() } else { told })
                .collect();
            prop_assert_eq!(held, wanted);
        }
    }
}

mod names {
    use super::*;

    const TEXT: &str =
        "id,Name,email\n1,Ada King Lovelace,a\n2,\"Lovelace, Ada King\",b\n3,Plato,c\n";

    fn options(map: &[&str], set: &[&str]) -> Options {
        Options {
            map: map.iter().map(|text| text.parse().expect(text)).collect(),
            set: set.iter().map(|text| text.parse().expect(text)).collect(),
            ..Options::default()
        }
    }

    const BOTH: [&str; 2] = ["firstName=name", "lastName=Name"];

    #[test]
    fn one_column_is_split_by_the_order_that_was_told() {
        for (order, last, first) in
            [("first-last", "Lovelace", "Ada King"), ("last-first", "Ada", "King Lovelace")]
        {
            let order = format!("name-order={order}");
            let input = memory(TEXT, &options(&BOTH, &[&order])).expect("an input");
            assert!(input.describe().contains(", split "), "{}", input.describe());
            assert!(input.describe().contains(&format!("--set '{order}'")));
            assert_eq!(
                serde_json::to_value(input.mapping()).expect("JSON"),
                serde_json::json!({
                    "id": "id", "firstName": "Name", "lastName": "Name", "email": "email",
                    "name-order": order.replace("name-order", ""),
                })
            );
            let (mut rows, mut row) = (input.into_rows().expect("rows"), Row::new());
            let mut names = Vec::new();
            while rows.read(&mut row).expect("a row") {
                let fields = row.fields();
                names.push(
                    [fields.first_name, fields.last_name].map(|n| n.expect("mapped").to_owned()),
                );
            }
            assert_eq!(names, [[first, last], ["Ada King", "Lovelace"], ["Plato", ""]]);
        }
    }

    #[test]
    fn nothing_is_split_unless_it_is_told_and_can_be_done() {
        let error = |map: &[&str], set: &[&str]| {
            let told = memory(TEXT, &options(map, set)).and_then(|i| i.require(&Rule::event()));
            told.expect_err("refused").to_string()
        };
        let told = error(&BOTH, &[]);
        assert!(
            told.starts_with("`Name` is mapped to firstName and to lastName; say how"),
            "{told}"
        );
        for order in ["first-last", "last-first"] {
            assert!(told.contains(&format!("--set name-order={order}")), "{told}");
        }
        let order = "name-order=first-last";
        for map in [&[][..], &BOTH[..1], &["firstName=Name", "lastName=id"]] {
            let told = error(map, &[order]);
            assert!(told.contains("do not come from one column"), "{told}");
        }
        let told = error(&BOTH, &[order, "name-order=last-first"]);
        assert!(told.contains("`name-order` is given twice"), "{told}");
        let told = error(&[], &[]);
        assert!(
            told.ends_with("if `Name` holds whole names, split them with --map 'firstName=Name' --map 'lastName=Name' --set name-order=first-last (or last-first)"),
            "{told}"
        );
    }

    #[test]
    fn the_mapped_questions_are_known() {
        let map = ["answer:Which city?=Name", "answer:Why=id"];
        let input = memory(TEXT, &options(&map, &["answer:Local=yes", "referrer=Fabrikam"]));
        let input = input.expect("an input");
        assert_eq!(
            input.mapping().questions().collect::<Vec<_>>(),
            ["Which city?", "Why", "Local"]
        );
        let mut rows = input.into_rows().expect("rows");
        let mut row = Row::new();
        assert!(rows.read(&mut row).expect("a row"));
        assert_eq!(row.fields().referrer, Some("Fabrikam"));
        assert_eq!(
            row.fields().answers,
            [("Which city?", "Ada King Lovelace"), ("Why", "1"), ("Local", "yes")]
        );
    }
}

#[test]
fn a_mark_leaves_a_row_out_whatever_the_filters_say() {
    let text = "Order #,Attendee #,First Name,Last Name,Email,Attendee Status,Note\n\
                1,11,Ada,Byron,a@x.org,Attending,\n1,12,Bo,Li,b@x.org,Refunded,\n\
                1,13,Cy,Ng,c@x.org,Attending,storno\n1,14,Di,Oz,d@x.org,Not Attending,\n";
    let marked = |marks: Option<&[&str]>, wheres: &[&str]| -> Vec<String> {
        let parse = |text: &&str| text.parse().expect("a filter");
        let options = Options {
            marks: marks.map(|marks| marks.iter().map(parse).collect()),
            filters: wheres.iter().map(parse).collect(),
            ..Options::default()
        };
        let input = memory(text, &options).expect("opens");
        let (mut rows, mut row, mut seen) = (input.into_rows().expect("rows"), Row::new(), vec![]);
        while rows.read(&mut row).expect("reads") {
            assert!(!row.is_marked() || row.standing() != Standing::Included);
            if row.is_marked() {
                seen.push(row.id().to_owned());
            }
        }
        seen
    };
    assert_eq!(marked(None, &[]), [""; 0], "nobody is to be cancelled");
    assert_eq!(marked(Some(&[]), &[]), ["12", "14"]);
    assert_eq!(marked(Some(&["Note=storno"]), &[]), ["12", "13", "14"]);
    assert_eq!(marked(Some(&[]), &["Attendee Status=Attending,Refunded"]), ["12", "14"]);
    assert_eq!(marked(Some(&["Attendee Status=Refunded"]), &[]), ["12"], "the user's own word");
}
