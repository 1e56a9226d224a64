//! What programs rely on: JSON as docs/rsntpq.schema.json has it, metrics as docs/metrics.md and the
//! dashboard have them.

use super::capture::captures;
use super::replay::Replay;
use rsntpd::tools::query::console::{Console, Settings};
use rsntpd::tools::query::metrics;
use serde_json::{Value, json};
use std::path::Path;

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&document("rsntpq.schema.json")).unwrap()
}

/// What of the language of schemas ours uses; another word would be overlooked, and is refused.
const WORDS: [&str; 12] = [
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "type",
    "enum",
    "oneOf",
    "properties",
    "required",
    "additionalProperties",
    "items",
];

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the type {other}"),
    }
}

/// What is wrong with a value by a schema, in words with the place.
fn faults(root: &Value, rule: &Value, value: &Value, place: &str) -> Vec<String> {
    let rule = rule.as_object().unwrap();
    if let Some(unknown) = rule.keys().find(|word| !WORDS.contains(&word.as_str())) {
        panic!("this test does not know the word {unknown}");
    }
    if let Some(target) = rule.get("$ref") {
        let path = target.as_str().unwrap().strip_prefix('#').unwrap();
        return faults(root, root.pointer(path).unwrap(), value, place);
    }
    let mut found = Vec::new();
    if let Some(types) = rule.get("type") {
        let names: Vec<&str> = match types {
            Value::Array(all) => all.iter().map(|name| name.as_str().unwrap()).collect(),
            one => vec![one.as_str().unwrap()],
        };
        if !names.iter().any(|name| is_type(value, name)) {
            found.push(format!("{place} is {value} and no {}", names.join(" or ")));
        }
    }
    if let Some(allowed) = rule.get("enum")
        && !allowed.as_array().unwrap().contains(value)
    {
        found.push(format!("{place} is {value}"));
    }
    if let Some(ways) = rule.get("oneOf") {
        let tries: Vec<_> =
            ways.as_array().unwrap().iter().map(|way| faults(root, way, value, place)).collect();
        if tries.iter().filter(|faults| faults.is_empty()).count() != 1 {
            found.push(tries.into_iter().min_by_key(Vec::len).unwrap().join("; "));
        }
    }
    if let Some(object) = value.as_object() {
        let required = rule.get("required").and_then(Value::as_array).into_iter().flatten();
        let missing = required.map(|name| name.as_str().unwrap()).filter(|name| !object.contains_key(*name));
        found.extend(missing.map(|name| format!("{place}.{name} is missing")));
        for (name, inner) in object {
            let inner_place = format!("{place}.{name}");
            match (rule.get("properties").and_then(|all| all.get(name)), rule.get("additionalProperties")) {
                (Some(rule), _) => found.extend(faults(root, rule, inner, &inner_place)),
                (None, Some(Value::Bool(false))) => found.push(format!("{inner_place} is not described")),
                (None, Some(rule)) => found.extend(faults(root, rule, inner, &inner_place)),
                (None, None) => {}
            }
        }
    }
    if let (Some(rule), Some(items)) = (rule.get("items"), value.as_array()) {
        found.extend(items.iter().flat_map(|item| faults(root, rule, item, &format!("{place}[]"))));
    }
    found
}

pub(crate) fn judge(line: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(line).unwrap();
    let schema = schema();
    faults(&schema, &schema, &value, "answer")
}

pub(crate) fn asked(server: &str, command: &str) -> String {
    let mut console = Console::new(Settings { numeric: true, json: true, ..Settings::default() });
    console.timeout = std::time::Duration::from_millis(300);
    console.open(server).unwrap();
    console.run(command).out
}

#[test]
fn answers_are_as_the_schema_says() {
    let mut answered = 0;
    for capture in captures() {
        let server = Replay::start(&capture);
        for command in [
            "peers",
            "apeers",
            "associations",
            "rv",
            "rl",
            "cv",
            "sysinfo",
            "sysstats",
            "monstats",
            "iostats",
            "kerninfo",
            "mrulist",
            "rv &1",
            "rl &2",
            "mreadvar &1 &2",
        ] {
            let line = asked(&server.address(), command);
            assert_eq!(judge(&line), [""; 0], "{command}: {line}");
            answered += usize::from(!line.contains("\"error\""));
        }
    }
    super::capture::told("JSON", answered);
}

#[test]
fn a_failure_is_an_answer_too() {
    let line = asked("127.0.0.1:9", "peers");
    assert!(line.contains("\"error\""), "{line}");
    assert_eq!(judge(&line), [""; 0]);
}

#[test]
fn wrong_answers_are_told() {
    let good = json!({"command": "sysstats", "host": "a", "variables": {"ss_uptime_s": 3}});
    assert_eq!(judge(&good.to_string()), [""; 0]);
    for bad in [
        json!({"command": "peers", "host": "a"}),
        json!({"command": "peers", "host": "a", "peers": [{"associd": 1}]}),
        json!({"command": "sysstats", "host": "a", "variables": {"ss_uptime_s": [1]}}),
        json!({"command": "sysstats", "host": 1, "variables": {}}),
        json!({"command": "sysstats", "host": "a", "variables": {}, "more": 1}),
    ] {
        assert_ne!(judge(&bad.to_string()), [""; 0], "{bad}");
    }
}

#[test]
fn every_metric_is_explained_and_every_explained_one_is_there() {
    let page = document("metrics.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `rsntp_")).collect();
    assert_eq!(listed.len(), metrics::all().len());
    for (name, kind, help) in metrics::all() {
        let row = format!("| `{name}` | {kind} | {help} |");
        assert!(listed.contains(&row.as_str()), "docs/metrics.md lacks the row\n{row}");
    }
    let dashboard = document("grafana.json");
    let value: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(value["panels"].as_array().unwrap().len() >= 10);
    let words = dashboard.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|word| word.starts_with("rsntp_")) {
        assert!(metrics::all().iter().any(|(name, ..)| *name == word), "the dashboard asks for {word}");
    }
}
