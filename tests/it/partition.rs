//! Every row ends in exactly one place, and the rejects file is input again.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::{Value, json};

use crate::{
    context::Context,
    files,
    people::{crowd, guid, id},
};

/// 1,000 rows for a meeting in mode `organization`: in each hundred one bad row of every kind, one
/// repeated in every cell, and nine that `--where` leaves out.
fn mixed() -> String {
    let mut csv = "id,tenantId,userId,name,status\n".to_owned();
    for n in 0..1_000 {
        let (tenant, user, name) = (guid(1), guid(1_000 + n), format!("Person {n}"));
        let good = format!("{},{tenant},{user},{name},going", id(n));
        let row = match n % 100 {
            3 => format!(",{tenant},{user},{name},going"),
            8 => format!("a\u{7}{n},{tenant},{user},{name},going"),
            13 => format!("1.{n:05}E+10,{tenant},{user},{name},going"),
            18 => format!("\u{fffd}{n},{tenant},{user},{name},going"),
            // Somebody else with the id of the row before.
            23 => format!("{},{tenant},{user},{name},going", id(n - 1)),
            28 => format!("{},,{user},{name},going", id(n)),
            33 => format!("{},no guid,{user},{name},going", id(n)),
            38 => format!("{},{tenant},,{name},going", id(n)),
            43 => format!("{},{tenant},{user}0,{name},going", id(n)),
            48 => format!("{},{tenant},{user},{name},going,more", id(n)),
            53 => format!("{},{tenant},{user},\"{name}\"!,going", id(n)),
            58 => format!("{},{tenant},{user},\"{name},going", id(n)),
            63 => format!("{},{tenant},{},Person {},going", id(n - 1), guid(999 + n), n - 1),
            nth if nth >= 91 => good.replace(",going", ",declined"),
            _ => good,
        };
        writeln!(csv, "{row}").expect("a String takes it");
    }
    csv
}

#[test]
fn enrolled_rejects_and_excluded_are_what_was_read() {
    let context = Context::offline();
    context.file("people.csv", mixed());
    let line = "rehearse people.csv --mode organization --where status=going,";
    let summary = context.summary(line);
    let enrolled = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(
        json!({
            "read": summary["read"], "enrolled": summary["enrolled"],
            "invalid": summary["invalid"], "excluded": summary["excluded"],
            "rows in the enrolled file": enrolled.len(), "exitCode": summary["exitCode"],
        }),
        json!({
            "read": 1_000, "enrolled": 790, "invalid": 120, "excluded": 90,
            "rows in the enrolled file": 790, "exitCode": 3,
        })
    );
    files::each_link_is_its_own(&enrolled);
    // Each enrolled row stands where its input row stood: what is not enrolled is left out.
    let expected: Vec<String> = (0..1_000)
        .filter(|n| ![3, 8, 13, 18, 23, 28, 33, 38, 43, 48, 53, 58].contains(&(n % 100)))
        .filter(|n| n % 100 < 91)
        .map(|n| if n % 100 == 63 { id(n - 1) } else { id(n) })
        .collect();
    assert_eq!(enrolled.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), expected);
    // The rejects file holds each bad row's own text.
    let input = mixed();
    let rejects = context.read("people.rejects.csv");
    let lines: Vec<&str> = rejects.lines().skip(1).collect();
    assert_eq!(lines.len(), 120);
    for (nth, text) in lines.iter().enumerate() {
        let n = [3, 8, 13, 18, 23, 28, 33, 38, 43, 48, 53, 58][nth % 12] + nth / 12 * 100;
        let row = input.lines().nth(n + 1).expect("a row of the input");
        assert!(text.starts_with(&format!("{row},{},invalid,", n + 2)), "{text}");
    }
}

#[test]
fn a_mended_rejects_file_is_input_as_it_is() {
    let context = Context::new();
    context.file("people.csv", format!("{},\"Nobody, yet\"\n1.5E+10,Fay\n", crowd(3)));
    context.run("run people.csv --meeting m1").expect(3);
    let rejects = context.read("people.rejects.csv");
    context.file("again.csv", &rejects);
    context.run("run again.csv --meeting m1").expect(3);
    let renumbered =
        rejects.replace(",5,invalid", ",2,invalid").replace(",6,invalid", ",3,invalid");
    assert_eq!(context.read("again.rejects.csv"), renumbered, "unmended: the same rejects");
    let mended = rejects.replace("\n,\"Nobody", "\np-9,\"Nobody").replace("1.5E+10", "p-10");
    context.file("again.csv", mended);
    context.run("run again.csv --meeting m1 --keep name").expect(0);
    assert_eq!(files::column(&context, "again.enrolled.csv", "id"), ["p-9", "p-10"]);
    assert_eq!(files::column(&context, "again.enrolled.csv", "name"), ["Nobody, yet", "Fay"]);
    assert_eq!(context.read("again.rejects.csv").lines().count(), 1);
    assert_eq!(context.stats().enrolled, 5);
}

/// All keys of an object, those of objects within after a dot.
fn keys(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in value.as_object().expect("an object") {
        match value {
            Value::Object(_) => {
                found.extend(keys(value).iter().map(|inner| format!("{key}.{inner}")));
            }
            _ => drop(found.insert(key.clone())),
        }
    }
    found
}

fn set(keys: &str) -> BTreeSet<String> {
    keys.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_summary_for_programs_has_the_keys_that_scripts_depend_on() {
    let context = Context::new();
    context.file("people.csv", format!("{},nobody\n", crowd(2)));
    let ran = context.run("run people.csv --meeting m1 --organizer ada@example.org --json");
    let summary = ran.expect(3).json();
    assert_eq!(
        keys(&summary),
        set("target.kind target.id target.organizer mode read enrolled already changed invalid \
             refused unknown awaiting notAttempted excluded missing requests posts throttled retries \
             cancelled cancellationsHeld \
             elapsedSeconds exitCode stopReason files.enrolled files.rejects files.ledger")
    );
    assert_eq!(summary["target"]["kind"], "meeting");
    assert_eq!(summary["mode"], "everyone");
    assert_eq!(summary["stopReason"], Value::Null);
    // The registration, the list of registrants, and two POSTs.
    assert_eq!((&summary["posts"], &summary["requests"]), (&2.into(), &4.into()));
    assert_eq!(summary["files"]["enrolled"], "people.enrolled.csv");
    assert!(summary["elapsedSeconds"].as_f64() > Some(0.0));
}

#[test]
fn the_check_for_programs_has_the_keys_that_scripts_depend_on() {
    let context = Context::offline();
    context.file("people.csv", format!("Ref;Name\n{}", "a;Ada\nb;Ben\n;Cy\n"));
    let ran = context.run("check people.csv --map id=ref --where name=Ada, --json");
    let checked = ran.expect(0).json();
    assert_eq!(
        checked,
        json!({
            "mode": "everyone", "read": 3, "valid": 1, "invalid": 0, "excluded": 2,
            "detected": {
                "encoding": "utf-8", "delimiter": ";", "headerLine": 1, "preset": null
            },
            "mapping": {"id": "Ref"}, "exitCode": 0
        })
    );
}

#[test]
fn a_rejects_file_that_nobody_has_mended_enrols_nobody() {
    let context = Context::new();
    context.file(
        "people.csv",
        "id,name\n5,Ada\n5,Bob\n\"a\"\"b\",Eve\n\"a\"\"b\",Fay\n,Cid\n\nname,id\nZed,9\n",
    );
    context.run("run people.csv --meeting m1").expect(3);
    let posts = context.stats().posts;
    let mut rejects = context.read("people.rejects.csv");
    // Twice, because the rejects of rejects run again as well.
    for name in ["again", "and-again"] {
        context.file(&format!("{name}.csv"), &rejects);
        let ran = context.run(&format!("run {name}.csv --meeting m1")).expect(3);
        assert!(files::enrolled(&context, &format!("{name}.enrolled.csv")).is_empty(), "{ran}");
        let left = context.read(&format!("{name}.rejects.csv"));
        for code in ["duplicate-id", "missing-id", "other-table"] {
            assert_eq!(
                left.matches(&format!("invalid,{code}")).count(),
                rejects.matches(&format!("invalid,{code}")).count(),
                "{left}"
            );
        }
        rejects = left;
    }
    assert_eq!(context.stats().posts, posts);
    // Mended: an id of one's own, an id at all, and a person after all.
    let mended = rejects
        .replace("5,Bob", "7,Bob")
        .replace("\n,Cid", "\n8,Cid")
        .replace("invalid,other-table", "invalid,");
    context.file("mended.csv", &mended);
    context.run("run mended.csv --meeting m1").expect(3);
    let enrolled = files::enrolled(&context, "mended.enrolled.csv");
    let ids: Vec<&str> = enrolled.iter().map(|row| row.id.as_str()).collect();
    assert!(ids.contains(&"7") && ids.contains(&"8"), "{ids:?}");
    assert!(!ids.contains(&"a\"b") && !ids.contains(&"5"), "{ids:?}");
    // The same file again: who was mended stays enrolled.
    context.run("run mended.csv --meeting m1").expect(3);
    assert_eq!(files::enrolled(&context, "mended.enrolled.csv").len(), enrolled.len());
}
