//! A value in diagnostic notation, a line for each field, with the fields' names as comments where they are known.

use super::Value;
use crate::{field_names, shown::hex};

/// Longest list of plain items that stays on one line, in characters.
const LINE_LEN_MAX: usize = 72;
const STEP: &str = "  ";

/// The value in diagnostic notation. `names` are the fields of the outermost map, by their numbers.
pub(crate) fn show(value: &Value, names: &[&str]) -> String {
    let mut out = String::new();
    put(&mut out, value, names, 0);
    out
}

fn put(out: &mut String, value: &Value, names: &[&str], indent: usize) {
    match value {
        Value::Array(items) => array(out, items, names, indent),
        Value::Map(pairs) if !pairs.is_empty() => map(out, pairs, names, indent),
        Value::Tag(tag, value) => {
            out.push_str(&tag.to_string());
            out.push('(');
            put(out, value, names, indent);
            out.push(')');
        }
        plain => out.push_str(&line(plain)),
    }
}

/// An item of one line.
fn line(value: &Value) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Negative(number) => format!("-{}", u128::from(*number).saturating_add(1)),
        Value::Bytes(bytes) => format!("h'{}'", hex(bytes)),
        Value::Text(text) => quoted(text),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::Tag(tag, value) => format!("{tag}({})", line(value)),
        Value::Array(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", line(key), line(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn array(out: &mut String, items: &[Value], names: &[&str], indent: usize) {
    let plain = items.iter().all(|item| !matches!(item, Value::Array(_) | Value::Map(_) | Value::Tag(..)));
    let short = items.iter().map(|item| line(item).chars().count()).sum::<usize>() <= LINE_LEN_MAX;
    if plain && short {
        out.push_str(&line(&Value::Array(items.to_vec())));
        return;
    }
    out.push_str("[\n");
    for item in items {
        out.push_str(&STEP.repeat(indent.saturating_add(1)));
        put(out, item, names, indent.saturating_add(1));
        out.push_str(",\n");
    }
    out.push_str(&STEP.repeat(indent));
    out.push(']');
}

fn map(out: &mut String, pairs: &[(Value, Value)], names: &[&str], indent: usize) {
    out.push_str("{\n");
    for (key, value) in pairs {
        let name = match key {
            Value::Unsigned(number) => usize::try_from(*number).ok().and_then(|number| names.get(number)),
            _ => None,
        };
        out.push_str(&STEP.repeat(indent.saturating_add(1)));
        if let Some(name) = name {
            out.extend(["/ ", name, " / "]);
        }
        out.push_str(&line(key));
        out.push_str(": ");
        put(out, value, name.map_or(&[], |name| field_names::within(names, name)), indent.saturating_add(1));
        out.push_str(",\n");
    }
    out.push_str(&STEP.repeat(indent));
    out.push('}');
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            // Others of the control characters could rewrite the screen.
            control if control.is_control() => out.extend([format!("\\u{:04x}", u32::from(control))]),
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_on_lines_of_their_own_with_their_names() {
        let value = Value::Map(vec![
            (Value::Unsigned(0), Value::Unsigned(1)),
            (Value::Unsigned(1), Value::Array(vec![Value::Unsigned(1), Value::Bytes(vec![0xab])])),
            (Value::Unsigned(9), Value::Text("a\"\u{1b}\u{9b}".into())),
        ]);
        let expected = "{\n  / schema / 0: 1,\n  / list / 1: [1, h'ab'],\n  9: \"a\\\"\\u001b\\u009b\",\n}";
        assert_eq!(show(&value, &["schema", "list"]), expected);
    }

    #[test]
    fn a_message_within_a_message_has_its_own_names() {
        let receipt = Value::Map(vec![(Value::Unsigned(0), Value::Unsigned(1))]);
        let shown = show(&Value::Map(vec![(Value::Unsigned(0), receipt)]), &["receipt"]);
        assert_eq!(shown, "{\n  / receipt / 0: {\n    / schema / 0: 1,\n  },\n}");
    }

    #[test]
    fn empty_lists_and_maps_stay_on_one_line() {
        assert_eq!(show(&Value::Array(vec![Value::Map(vec![])]), &[]), "[\n  {},\n]");
        assert_eq!(show(&Value::Map(vec![]), &[]), "{}");
    }
}
