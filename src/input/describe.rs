//! What was recognised, in words, for a person who checks an export before a run.

use std::fmt::Write;

use super::{NameOrder, layout::Layout, mapping::Slot};

/// One paragraph a matter; the last line can be typed again to override the mapping.
pub(super) fn describe(layout: &Layout) -> String {
    let detected = &layout.detected;
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:<12}{value}");
    };
    let packed = if detected.gzip { ", gzip" } else { "" };
    let bom = if detected.bom { " with BOM" } else { "" };
    line("Encoding", &format!("{}{bom}{packed}", detected.encoding));
    line("Delimiter", &detected.delimiter.to_string());
    let count = layout.header.names.len();
    let columns = if count == 1 { "1 column".to_owned() } else { format!("{count} columns") };
    line("Header", &format!("line {}, {columns}", detected.header_line));
    match (detected.system, detected.preset) {
        (Some(system), Some(name)) => line("Recognised", &format!("{system} (preset {name})")),
        _ => line("Recognised", "no known system; columns are mapped by their names"),
    }
    let mut shown = layout.mapping.iter().peekable();
    if shown.peek().is_none() {
        line("Mapping", "no field has a column");
    }
    for (nth, (field, column)) in shown.enumerate() {
        let split = match layout.mapping.slot(field) {
            Some(Slot::Name(_, order)) => format!(", split {}", order.as_str()),
            _ => String::new(),
        };
        let prefix = if field.name() == "id" && !layout.id_prefix.is_empty() {
            format!("`{}` + ", layout.id_prefix)
        } else {
            String::new()
        };
        let column = column.replace(['\r', '\n'], " ");
        let value = match column.strip_prefix('=') {
            Some(value) => format!("{field} is always `{value}`"),
            None => format!("{field} from {prefix}`{column}`{split}"),
        };
        line(if nth == 0 { "Mapping" } else { "" }, &value);
    }
    for (nth, gate) in layout.gates.iter().enumerate() {
        let verb = if gate.stays() { "all but " } else { "" };
        line(if nth == 0 { "Left out" } else { "" }, &format!("{verb}{}", gate.label));
    }
    let order = layout.mapping.name_order.map(|order| {
        format!("--set {}", quote(&format!("{}={}", NameOrder::OPTION, order.as_str())))
    });
    let options: Vec<String> = layout
        .mapping
        .slots
        .iter()
        .zip(layout.mapping.iter())
        .filter(|((_, slot), _)| !matches!(slot, Slot::Value(_)))
        .map(|(_, (field, column))| format!("--map {}", quote(&format!("{field}={column}"))))
        .chain(order)
        .collect();
    if !options.is_empty() {
        line("To override", &options.join(" "));
    }
    text
}

/// A word as a POSIX shell takes it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
