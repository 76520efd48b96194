//! Flag, environment, job file, default: laid over each other in this order.

use insta::assert_snapshot;

use crate::{
    context::{Context, Ran},
    people::crowd,
};

#[test]
fn a_flag_outweighs_the_environment_the_environment_the_job_file_and_that_the_default() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    context.file("job.toml", "output = \"from-job.csv\"\n");
    let written = |variables: &[(&str, &str)], line: &str, expected: &str| {
        context.run_with(variables, line).expect(0);
        assert!(context.has(expected), "{line} writes {expected}");
        std::fs::remove_file(context.path(expected)).expect("it is there");
    };
    let variable = [("REGISTRANT_IMPORT_OUTPUT", "from-environment.csv")];
    let job = "run people.csv --meeting m1 --job job.toml";
    written(&variable, &format!("{job} --output from-flag.csv"), "from-flag.csv");
    written(&variable, job, "from-environment.csv");
    written(&[], job, "from-job.csv");
    written(&[], "run people.csv --meeting m1", "people.enrolled.csv");
}

#[test]
fn a_job_file_holds_a_whole_command() {
    let context = Context::new();
    context.file("people.csv", "Ref,Status\na,Going\nb,Gone\n");
    let job = "csv = \"people.csv\"\nmeeting = \"m1\"\nmap = [\"id=ref\"]\nwhere = [\"status=Going\"]\n\
               keep-all = true\nconcurrency = 2\nmax-rejects = \"1%\"\n";
    context.file("job.toml", job);
    let variable = [("REGISTRANT_IMPORT_JOB", "job.toml")];
    for ran in [context.run("run --job job.toml"), context.run_with(&variable, "run")] {
        ran.expect(0);
        let text = context.read("people.enrolled.csv");
        assert_eq!(text.lines().next(), Some("id,joinWebUrl,registrantId,status,Ref,Status"));
        assert_eq!(text.lines().count(), 2);
    }
}

#[test]
fn the_job_file_of_a_run_names_the_ledger_for_whoever_looks_into_it() {
    for (target, file) in [
        ("meeting = \"m1\"\n", "people.enrolled.csv"),
        ("meeting = \"m1\"\nledger = \"own.ledger\"\n", "people.enrolled.csv"),
        ("meeting = \"m2\"\norganizer = \"o1\"\noutput = \"m2.csv\"\n", "m2.csv"),
    ] {
        let context = Context::new();
        context.file("people.csv", crowd(2));
        context.file("job.toml", format!("csv = \"people.csv\"\nrate = \"600/m\"\n{target}"));
        context.run("run --job job.toml").expect(0);
        let ran = context.run("status --job job.toml").expect(0);
        assert!(ran.stdout.contains("2  enrolled, link held"), "{ran}");
        let ran = context.run("explain p-00001 --job job.toml").expect(0);
        assert!(ran.stdout.contains("enrolled, its link is held"), "{ran}");
        let links = context.read(file);
        std::fs::remove_file(context.path(file)).expect("it is there");
        context.run("export --job job.toml").expect(0);
        assert_eq!(context.read(file), links);
        // What is typed outweighs it.
        let ran = context.run("status --job job.toml --ledger other.ledger").expect(2);
        assert!(ran.stderr.contains("other.ledger"), "{ran}");
    }
}

#[test]
fn a_look_into_a_ledger_needs_no_trust_in_its_host() {
    let context = Context::new();
    let far = "--meeting m1 --graph-url https://proxy.example.org";
    for line in [format!("status {far}"), format!("explain a {far}")] {
        let ran = context.run(&line).expect(2);
        assert!(ran.stderr.contains("meeting-m1-"), "{ran}");
    }
}

#[test]
fn a_target_that_is_named_more_strongly_puts_the_other_kind_out_of_force() {
    let context = Context::new();
    context.file("people.csv", "id,first name,last name,email\na,Ada,Byron,a@example.org\n");
    let job = |target: &str| context.file("job.toml", format!("csv = \"people.csv\"\n{target}"));
    let kind = |variables: &[(&str, &str)], line: &str| {
        let ran = context.run_with(variables, &format!("run --job job.toml --json {line}"));
        ran.expect(0).json()["target"]["kind"].as_str().expect("a kind").to_owned()
    };
    let meeting =
        [("REGISTRANT_IMPORT_MEETING", "m1"), ("REGISTRANT_IMPORT_ORGANIZER", "ada@example.org")];
    let webinar = [("REGISTRANT_IMPORT_WEBINAR", "w1@t1")];
    job("meeting = \"m1\"\norganizer = \"ada@example.org\"\nenable = \"everyone\"\n");
    assert_eq!(kind(&[], ""), "meeting");
    assert_eq!(kind(&[], "--webinar w1@t1"), "webinar");
    assert_eq!(kind(&webinar, ""), "webinar");
    assert_eq!(kind(&webinar, "--meeting=m2"), "meeting");
    assert_eq!(kind(&[], "--townhall h1@t1"), "townhall");
    assert_eq!(kind(&[("REGISTRANT_IMPORT_TOWNHALL", "h1@t1")], ""), "townhall");
    job("townhall = \"h1@t1\"\n");
    assert_eq!(kind(&[], ""), "townhall");
    assert_eq!(kind(&webinar, ""), "webinar");
    job("webinar = \"w1@t1\"\n");
    assert_eq!(kind(&[], ""), "webinar");
    assert_eq!(kind(&meeting, ""), "meeting");
    assert_eq!(kind(&meeting, "--webinar=w1@t1"), "webinar");
    for line in [
        "--webinar w1@t1 --meeting m1",
        "--webinar w1@t1 --organizer ada@example.org",
        "--townhall h@t --webinar w@t",
    ] {
        let ran = context.run(&format!("run people.csv {line}")).expect(2);
        assert!(ran.stderr.contains("cannot be used with"), "{ran}");
    }
}

fn run_with_job(toml: &str) -> Ran {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    context.file("job.toml", toml);
    let ran = context.run("run people.csv --meeting m1 --job job.toml");
    assert_eq!(context.stats().posts, 0, "{ran}");
    ran
}

#[test]
fn a_fault_of_a_job_file_is_told_with_its_line() {
    assert_snapshot!(run_with_job("strict = true\n\nconcurency = 4\n"), @"
    exit 2
    --- stderr
    error: job.toml:3: `concurency` is no setting of this command; there are allow-empty, approve, auth, ca-file, cancel, cancel-where, cloud, concurrency, csv, delimiter, enable, encoding, finish-by, formula-safe, graph-url, http1, id-prefix, input-command, input-timeout, json, keep, keep-all, ledger, log-file, log-format, log-ids, map, max-attempts, max-cancel, max-duration, max-rejects, meeting, metrics, missing-for, on-unknown, organizer, output, over-capacity, preset, progress, quiet, rate, rejects, report, set, settle, shared-link, sheet, skip-lines, strict, timeout, token-command, token-file, townhall, trust-host, trust-ids, trust-ledger, verbose, webinar, where
    ");
    assert_snapshot!(run_with_job("strict = true\nrate = \"fast\"\n"), @r"
    exit 2
    --- stderr
    error: job.toml:2: invalid value 'fast' for '--rate <N/UNIT>': `fast` is not a rate: it has no `/`; write calls per time, as in 0.5/s, 15/30s, 600/m, 1000/h
    ");
    assert_snapshot!(run_with_job("strict = \"yes\"\n"), @r"
    exit 2
    --- stderr
    error: job.toml:1: `strict` is either true or false
    ");
    assert_snapshot!(run_with_job("strict = true\noutput = [\"a\", \"b\"]\n"), @r"
    exit 2
    --- stderr
    error: job.toml:2: `output` takes one value
    ");
    assert_snapshot!(run_with_job("strict = \n"), @r"
    exit 2
    --- stderr
    error: job.toml:1: string values must be quoted, expected literal string
    ");
    assert_snapshot!(run_with_job("strict = true\nstrict = true\n"), @r"
    exit 2
    --- stderr
    error: job.toml:2: duplicate key
    ");
}

#[test]
fn a_job_file_that_is_not_there() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    assert_snapshot!(context.run("run people.csv --meeting m1 --job no.toml"), @r"
    exit 2
    --- stderr
    error: --job no.toml: no such file; give the path of the job file
    ");
}

#[test]
fn a_variable_is_judged_like_its_flag() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    let variable = [("REGISTRANT_IMPORT_RATE", "fast")];
    assert_snapshot!(context.run_with(&variable, "run people.csv --meeting m1"), @r"
    exit 2
    --- stderr
    error: invalid value 'fast' for '--rate <N/UNIT>': `fast` is not a rate: it has no `/`; write calls per time, as in 0.5/s, 15/30s, 600/m, 1000/h

    For more information, try '--help'.
    ");
}

#[test]
fn a_switch_in_the_environment() {
    let context = Context::new();
    context.file("people.csv", format!("{},nobody\n", crowd(1)));
    for (value, posts) in [("true", 0), ("false", 1)] {
        let variable = [("REGISTRANT_IMPORT_STRICT", value)];
        context.run_with(&variable, "run people.csv --meeting m1").expect(3);
        assert_eq!(context.stats().posts, posts, "strict is {value}");
    }
}
