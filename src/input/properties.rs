//! What must hold for every input, however damaged.
//!
//! `cargo test --lib input::properties` runs some hundreds of cases. For a long run:
//! `REGISTRANT_IMPORT_FUZZ_SECONDS=60 cargo test --release --lib fuzz -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::{tests::memory, *};
use crate::registrant::{Mode, Rule};

const EVERYONE: Rule = Rule::Meeting(Mode::Everyone);

/// How many rows are excluded, invalid and valid: by one row after the other, and by the survey.
fn agrees(bytes: &[u8], one_by_one: [u64; 3]) {
    let mut rows =
        memory(bytes, &Options::default()).and_then(Input::into_rows).expect("as before");
    let all = survey::<InputError>(&mut rows, EVERYONE, |_, _| Ok(())).expect("as before");
    assert_eq!([all.excluded, all.invalid, all.valid], one_by_one);
}

/// Reads all there is; what must hold of any input holds here.
fn read_all(bytes: &[u8]) -> Option<Vec<(u64, String)>> {
    let mut rows = memory(bytes, &Options::default()).ok()?.into_rows().ok()?;
    let (mut validator, mut row) = (Validator::new(EVERYONE), Row::new());
    let (mut told, mut last) = (Vec::new(), 0);
    let mut counts = [0; 3];
    while rows.read(&mut row).ok()? {
        assert!(row.line() > last, "line {} follows line {last}", row.line());
        last = row.line();
        let _ = (row.fields(), row.fingerprint(), row.kept().count());
        match (row.standing(), validator.check(&row)) {
            (Standing::Included, Some(check)) if check.is_valid() => {
                let id = row.fields().id.unwrap_or_default();
                assert_eq!(check.registrant.expect("valid").id.as_str(), id);
                assert_eq!(row.cells().count(), rows_width(&row));
                counts[2] += 1;
            }
            (Standing::Excluded(_), None) => counts[0] += 1,
            (Standing::Included | Standing::Broken(_), Some(check)) => {
                assert!(!check.faults(&row).is_empty());
                counts[1] += 1;
            }
            (standing, _) => panic!("{standing:?} was checked otherwise"),
        }
        told.push((row.line(), row.raw().to_owned()));
    }
    assert!(last <= csv::count_lines(bytes) + 1);
    agrees(bytes, counts);
    Some(told)
}

fn rows_width(row: &Row) -> usize {
    row.layout.as_deref().map_or(0, |layout| layout.header.names.len())
}

/// Bytes that hurt: quotes, delimiters, line ends, BOMs, and halves of characters.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-z0-9@.]{1,6}".prop_map(String::into_bytes),
        4 => Just(b",".to_vec()),
        4 => Just(b"\"".to_vec()),
        3 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b";".to_vec()),
        1 => Just(b"\t".to_vec()),
        1 => Just(b"\"\"".to_vec()),
        1 => Just(b",,\n".to_vec()),
        1 => Just(b"\0".to_vec()),
        1 => Just("\u{feff}".as_bytes().to_vec()),
        1 => Just(b"\xC3".to_vec()),
        1 => Just("é".as_bytes().to_vec()),
        1 => Just(b"id,name\n".to_vec()),
        1 => Just(b"\n\nGrand Totals (2 records)\n".to_vec()),
        1 => Just(b"\n\nname,id\nBob,2\n".to_vec()),
        1 => Just(b"\n\ncode,label\n".to_vec()),
        1 => Just(b"Total,,\n".to_vec()),
        1 => Just(b"\nname,id\n".to_vec()),
        1 => Just(b"\nHost details,\n".to_vec()),
        1 => Just(b"\n7,\"x\n8,y\n9,z\n\",\n".to_vec()),
        1 => Just(b",_line,_outcome,_code,_reason\n".to_vec()),
        1 => Just(b"\n\nCancellations\n\nid,name\n".to_vec()),
        1 => Just(b"\nCancellations,\n,\nid,name\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Stretches of one thing over and over, up to two MiB long, between pieces that may hold rows: what is
/// at hand must not end the reading, nor keep it from ending, and the time must not grow faster than
/// the input.
fn stretched() -> impl Strategy<Value = Vec<u8>> {
    let empty = prop_oneof![
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just(" \n"),
        Just("# comment\n"),
        Just(",\n"),
        Just("id,name\n"),
        Just("\n\"\"\n"),
        Just("\nStaff, new\n\n"),
        // One row of half a million cells.
        Just("\"a\" ,"),
        Just("\"a,\"\" "),
    ];
    let filler =
        prop_oneof![3 => empty.prop_map(|filler| filler.as_bytes().to_vec()), 1 => nasty()];
    let stretch = (filler, 1..1_500_000_usize)
        .prop_map(|(filler, bytes)| filler.repeat(bytes / filler.len().max(1)));
    (nasty(), stretch, nasty())
        .prop_map(|(before, stretch, behind)| [before, stretch, behind].concat())
}

/// A table of well-formed cells, every row as wide as the header.
fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (2_usize..5).prop_flat_map(|width| {
        let cell = prop_oneof![
            4 => "[a-zA-Z0-9 .]{1,8}",
            1 => "[a-z\",;\t|é]{1,8}",
            // Lines with delimiters within a cell may be rows that a lost quote has swallowed.
            1 => "[a-z\";\t\n\r|é]{1,8}",
        ];
        // Without an empty first cell no row is one of delimiters only, and none is a title.
        let row = proptest::collection::vec(cell, width);
        proptest::collection::vec(row, 1..12)
    })
}

fn written(rows: &[Vec<String>], quote: ::csv::QuoteStyle) -> Vec<u8> {
    let mut writer = ::csv::WriterBuilder::new().quote_style(quote).from_writer(Vec::new());
    let header: Vec<String> =
        (0..rows[0].len()).map(|n| if n == 0 { "id".into() } else { format!("c{n}") }).collect();
    writer.write_record(&header).expect("memory takes all");
    for row in rows {
        writer.write_record(row).expect("memory takes all");
    }
    writer.into_inner().expect("memory takes all")
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_bytes_panic_or_lose_their_lines(bytes in nasty()) {
        read_all(&bytes);
        read_all(&[b"id,name\n1,Ada\n".as_slice(), &bytes].concat());
    }

    /// With a header of two columns and nothing to recognise, each filled line is in some row.
    #[test]
    fn no_line_is_lost(lines in proptest::collection::vec("[a-z,\"]{1,12}", 1..20)) {
        let text = format!("id,name\n{}\n", lines.join("\n"));
        let mut rows = memory(&text, &Options::default())
            .and_then(Input::into_rows);
        if let Ok(rows) = &mut rows {
            let mut row = Row::new();
            let mut read = Vec::new();
            while rows.read(&mut row).expect("good text") {
                read.push(row.raw().to_owned());
            }
            let mut wanted = text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
            while wanted.last().is_some_and(|line| line.chars().all(|c| matches!(c, ',' | '"'))) {
                wanted.pop();
            }
            let found = read.join("\n");
            prop_assert!(found.starts_with(&wanted.join("\n")), "{text:?} gave {found:?}");
        }
    }

    #[test]
    fn well_formed_input_reads_as_the_csv_crate_reads_it(rows in table(), always in any::<bool>()) {
        let style = if always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
        let bytes = written(&rows, style);
        let options = Options { delimiter: Some(Delimiter::COMMA), ..Options::default() };
        let Ok(input) = memory(&bytes, &options) else { return Ok(()) };
        prop_assume!(input.header().line() == 1);
        let mut ours = input.into_rows().expect("rows");
        let mut row = Row::new();
        for theirs in ::csv::ReaderBuilder::new().from_reader(bytes.as_slice()).records() {
            let theirs = theirs.expect("well-formed");
            if theirs.iter().all(str::is_empty) {
                continue;
            }
            prop_assert!(ours.read(&mut row).expect("good text"));
            prop_assert_eq!(row.cells().collect::<Vec<_>>(), theirs.iter().collect::<Vec<_>>());
        }
        prop_assert!(!ours.read(&mut row).expect("good text"));
    }

    /// Rows written to a rejects file come back as they were, ragged ones ragged.
    #[test]
    fn a_rejects_file_gives_its_rows_back(lines in proptest::collection::vec("[a-z, ]{0,3}(\"[a-z, ]{0,4}\"?){0,2}[a-z,]{0,4}", 1..8)) {
        let text = format!("id,name\n{}\n", lines.join("\n"));
        let Some(first) = read_all(text.as_bytes()) else { return Ok(()) };
        let mut rejects = "id,name,_line,_outcome,_code,_reason\n".to_owned();
        for (line, raw) in &first {
            let own = format!(",{line},invalid,column-count,\"a, \"\"b\"\"\"\n");
            rejects.extend([raw.as_str(), &own]);
        }
        let Some(second) = read_all(rejects.as_bytes()) else { return Ok(()) };
        let raws = |rows: &[(u64, String)]| rows.iter().map(|(_, raw)| raw.clone()).collect::<Vec<_>>();
        prop_assert_eq!(raws(&first), raws(&second));
    }
}

#[test]
fn a_sample_cut_at_any_byte_is_read_or_refused() {
    let sample =
        "\u{feff}id;name;note\r\n1;\"Ada; \"\"x\"\"\";é\r\n2;\"B\nob\";\r\n\r\n3;Eve\r\n;;\r\n";
    for end in 0..=sample.len() {
        read_all(&sample.as_bytes()[..end]);
    }
    let wide: Vec<u8> = sample.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for end in 0..=wide.len() {
        read_all(&wide[..end]);
    }
}

#[test]
fn a_row_without_end_is_an_error_and_an_endless_quote_a_row() {
    let long = format!("id,name\n1,{}\n2,x\n", "y".repeat(MAX_ROW + 10));
    assert!(matches!(
        memory(long, &Options::default())
            .and_then(Input::into_rows)
            .and_then(|mut rows| { rows.read(&mut Row::new()) }),
        Err(InputError::RowTooLong { line: 2, .. })
    ));
    let mut open = "id,name\n1,\"Ada\n".to_owned();
    open.push_str(&"2,b\n".repeat(MAX_ROW / 4 + 10));
    let mut rows = memory(open, &Options::default()).and_then(Input::into_rows).expect("rows");
    let mut row = Row::new();
    assert!(rows.read(&mut row).expect("a row"));
    assert!(matches!(row.standing(), Standing::Broken(_)));
    assert!(rows.read(&mut row).expect("a row"));
    assert_eq!((row.line(), row.raw()), (3, "2,b"));
}

proptest! {
    #![proptest_config(Config { cases: 4, failure_persistence: None, ..Config::default() })]

    #[test]
    fn long_stretches_without_rows_lose_no_lines(bytes in stretched()) {
        read_all(&[b"id,name\n1,Ada\n".as_slice(), &bytes].concat());
        read_all(&[b"id,name\n".as_slice(), &bytes, b"1,Ada\n"].concat());
    }
}

/// The fuzz target: random inputs for as long as the environment says.
#[test]
#[expect(clippy::print_stderr, reason = "the number of cases is what the run is for")]
#[ignore = "runs for REGISTRANT_IMPORT_FUZZ_SECONDS, 60 if unset"]
fn fuzz() {
    let seconds = std::env::var("REGISTRANT_IMPORT_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runner = TestRunner::new(Config::default());
    let (nasty, bytes) = (nasty(), proptest::collection::vec(any::<u8>(), 0..300));
    let mut cases = 0_u64;
    while Instant::now() < end {
        let tree = nasty.new_tree(&mut runner).expect("a value");
        read_all(&tree.current());
        let tree = bytes.new_tree(&mut runner).expect("a value");
        read_all(&tree.current());
        read_all(&[b"id,name\n".as_slice(), &tree.current()].concat());
        cases += 3;
        if cases.is_multiple_of(300) {
            let tree = stretched().new_tree(&mut runner).expect("a value");
            read_all(&[b"id,name\n".as_slice(), &tree.current()].concat());
        }
    }
    eprintln!("{cases} inputs");
}
