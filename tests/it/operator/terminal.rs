//! What a person sees on a terminal: a real one, made for the test, whose screen is read.

use std::{
    io::{ErrorKind, Read, Write},
    num::NonZero,
    time::{Duration, Instant},
};

use vt100::Parser;

use super::export;
use crate::context::{Context, side_by_side};

const ROWS: u16 = 40;

/// What a terminal of some width showed.
struct Seen {
    /// Every byte.
    bytes: Vec<u8>,
    /// Each different picture of the last two lines while the bar was there.
    bars: Vec<(String, String)>,
    /// Whether a line of the bar went over the edge, into the rows below.
    wrapped: bool,
    /// Everything that was left on the screen at the end, above the edge as well.
    left: String,
    code: Option<i32>,
    took: Duration,
}

/// The program with these words, to be run in a terminal.
fn at_terminal(context: &Context, words: &str) -> pty_process::blocking::Command {
    let plain = context.command(words);
    let variables = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
    pty_process::blocking::Command::new(plain.get_program())
        .args(plain.get_args())
        .current_dir(context.path(""))
        .env_clear()
        .envs(variables)
        .env("TERM", "xterm-256color")
}

/// Runs the program in a terminal of so many columns.
fn watch(context: &Context, columns: u16, words: &str, variables: &[(&str, &str)]) -> Seen {
    let (mut pty, pts) = pty_process::blocking::open().expect("a terminal");
    pty.resize(pty_process::Size::new(ROWS, columns)).expect("a size");
    let began = Instant::now();
    let mut child =
        at_terminal(context, words).envs(variables.iter().copied()).spawn(pts).expect("starts");
    let size = |lines| NonZero::new(lines).expect("not none");
    let mut screen = Parser::new(size(ROWS), size(columns), 10_000);
    let (mut bytes, mut bars, mut wrapped) = (Vec::new(), Vec::new(), false);
    let mut buffer = [0; 4096];
    loop {
        match pty.read(&mut buffer) {
            // A terminal whose program is gone is at its end, or says so as an error.
            Ok(0) => break,
            Err(error) if error.kind() != ErrorKind::Interrupted => break,
            Err(_) => {}
            Ok(read) => {
                let read = &buffer[..read];
                bytes.extend_from_slice(read);
                screen.process(read);
                let lines: Vec<String> = screen.screen().rows(0, columns).collect();
                let bar = lines.iter().position(|line| line.trim_end().ends_with(" %"));
                if let Some(at) = bar.filter(|at| at + 1 < lines.len()) {
                    wrapped |= lines.iter().skip(at + 2).any(|line| !line.trim().is_empty());
                    let picture = (lines[at].clone(), lines[at + 1].clone());
                    if bars.last() != Some(&picture) {
                        bars.push(picture);
                    }
                }
            }
        }
    }
    let code = child.wait().expect("ends").code();
    let took = began.elapsed();
    screen.screen_mut().set_scrollback(usize::MAX);
    let above = screen.screen().scrollback();
    let mut left = String::new();
    for back in (0..=above).rev().step_by(usize::from(ROWS)) {
        screen.screen_mut().set_scrollback(back);
        left.push_str(&screen.screen().contents());
        left.push('\n');
    }
    Seen { bytes, bars, wrapped, left, code, took }
}

/// How often the bar was drawn.
fn drawings(seen: &Seen) -> usize {
    let text = String::from_utf8_lossy(&seen.bytes);
    text.matches(" %").count()
}

/// Some three seconds for forty people: ten at once, then ten a second.
const SLOW: &str = "rehearse people.csv --rate 10/s";

#[test]
fn the_bar_fits_every_width_and_leaves_nothing_behind() {
    side_by_side(&[20, 40, 80, 132], |&columns| {
        let context = export(40);
        let seen = watch(&context, columns, SLOW, &[]);
        assert_eq!(seen.code, Some(3), "{}", seen.left);
        assert!(seen.bars.len() > 2, "{columns}: {:?}", seen.bars);
        assert!(!seen.wrapped, "{columns}: {:?}", seen.bars);
        assert!(seen.bars.iter().any(|(_, line)| line.contains(" enrolled")), "{:?}", seen.bars);
        let has_more = seen.bars.iter().any(|(_, line)| line.contains(" left"));
        assert_eq!(has_more, columns > 20, "{columns}: {:?}", seen.bars);
        assert!(!seen.left.contains(['━', '╌']), "{columns}: {}", seen.left);
        assert!(seen.left.contains("rows read in"), "{columns}: {}", seen.left);
    });
}

#[test]
fn the_bar_is_drawn_five_times_a_second_at_most_however_much_is_logged() {
    side_by_side(&[SLOW.to_owned(), format!("{SLOW} -vvv")], |words| {
        let context = export(40);
        let seen = watch(&context, 100, words, &[]);
        // A slow machine only makes more room.
        let most = seen.took.as_millis().div_ceil(200) + 2;
        let drawn = drawings(&seen);
        assert!(drawn > 2 && drawn as u128 <= most, "{drawn} in {:?}: {words}", seen.took);
    });
}

#[test]
fn logs_go_past_the_bar_and_stay_whole() {
    let context = export(40);
    let seen = watch(&context, 500, &format!("{SLOW} -vvv --log-format json"), &[]);
    assert!(seen.bars.len() > 2, "{:?}", seen.bars);
    let logged: Vec<&str> = seen.left.lines().filter(|line| line.contains("timestamp")).collect();
    assert!(logged.len() > 39, "{}", seen.left);
    for line in logged {
        assert!(line.starts_with('{') && line.trim_end().ends_with('}'), "{line}");
    }
    assert!(!seen.left.contains('━'), "{}", seen.left);
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    side_by_side(&[true, false], |&wanted| {
        let variables = if wanted { &[][..] } else { &[("NO_COLOR", "1")] };
        let seen = watch(&export(40), 80, &format!("{SLOW} -v"), variables);
        let coloured = String::from_utf8_lossy(&seen.bytes).contains("\u{1b}[3");
        assert!(coloured == wanted && !seen.bars.is_empty(), "{:?}", seen.bars);
    });
}

#[test]
fn whoever_wants_no_bar_gets_none() {
    let cases = [
        (format!("{SLOW} --quiet"), vec![]),
        (format!("{SLOW} --progress never"), vec![]),
        // A terminal that cannot move its cursor gets lines.
        (SLOW.to_owned(), vec![("TERM", "dumb")]),
    ];
    side_by_side(&cases, |(words, variables)| {
        let context = export(40);
        let seen = watch(&context, 80, words, variables);
        assert_eq!(seen.code, Some(3), "{}", seen.left);
        let text = String::from_utf8_lossy(&seen.bytes);
        assert!(!text.contains('\u{1b}') && !text.contains('━'), "{words}: {text}");
    });
}

#[test]
fn a_bar_can_be_had_without_a_terminal() {
    let context = export(40);
    let out = context.run(&format!("{SLOW} --progress always"));
    let told = out.stderr;
    assert!(told.contains('━') && told.contains(" enrolled"), "{told}");
    assert!(!told.contains("\u{1b}[3"), "no colours there: {told}");
}

#[test]
fn what_the_terminal_echoes_leaves_no_part_of_the_bar_behind() {
    let context = export(40);
    let (mut pty, pts) = pty_process::blocking::open().expect("a terminal");
    pty.resize(pty_process::Size::new(ROWS, 60)).expect("a size");
    let mut child = at_terminal(&context, SLOW).spawn(pts).expect("starts");
    let mut screen =
        Parser::new(NonZero::new(ROWS).expect("rows"), NonZero::new(60).expect("columns"), 0);
    let mut buffer = [0; 4096];
    let mut interrupted = false;
    while let Ok(read @ 1..) = pty.read(&mut buffer) {
        screen.process(&buffer[..read]);
        if !interrupted && screen.screen().contents().contains(" enrolled ·") {
            // A person's hand is slower than a terminal.
            std::thread::sleep(Duration::from_millis(50));
            pty.write_all(b"\x03").expect("Ctrl-C is typed");
            interrupted = true;
        }
    }
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    let left = screen.screen().contents();
    assert!(left.contains("finishing what is under way"), "{left}");
    assert!(!left.contains(['━', '╌']), "{left}");
}
