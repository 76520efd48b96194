//! A strict reader of an OpenAPI description: which operation a request is, and whether its path
//! and body are what that operation takes.
//!
//! It knows the words of schemas that such descriptions of Graph use and refuses all others, so
//! nothing is accepted because it was not understood. It is stricter than the description: a member
//! of a body must be one that a schema declares, also where unknown ones are allowed.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::recorder::Sent;

/// A description.
pub(crate) struct OpenApi(Value);

/// Words of a schema that say nothing about what is valid.
const SILENT: [&str; 5] = ["title", "description", "deprecated", "example", "externalDocs"];

impl OpenApi {
    /// Reads a description from YAML.
    pub(crate) fn parse(yaml: &str) -> Self {
        Self(serde_saphyr::from_str(yaml).expect("the description is YAML"))
    }

    /// Judges a request whose target is under a server that the description names.
    ///
    /// # Errors
    /// Why it is none of the description's requests.
    pub(crate) fn judge(&self, sent: &Sent) -> Result<(), String> {
        let servers = self.0["servers"].as_array().into_iter().flatten();
        let base = servers
            .filter_map(|server| server["url"].as_str())
            .filter_map(|url| url.strip_prefix("https://graph.microsoft.com"))
            .find(|base| sent.target.starts_with(&format!("{base}/")))
            .ok_or_else(|| format!("{} is under none of its servers", sent.target))?;
        let (path, query) =
            sent.target[base.len()..].split_once('?').unwrap_or((&sent.target[base.len()..], ""));
        let operation = self.operation(path, &sent.method.to_lowercase())?;
        self.judge_query(operation, query)?;
        let content = &self.resolve(&operation["requestBody"])["content"]["application/json"];
        match (content.get("schema"), sent.json()) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(format!("{} {path} takes no body", sent.method)),
            (Some(_), None) => Err(format!("{} {path} needs a body", sent.method)),
            (Some(schema), Some(body)) => {
                let kind = sent.header("content-type").unwrap_or("none");
                if !kind.starts_with("application/json") {
                    return Err(format!("content-type {kind}"));
                }
                self.judge_body(schema, &body)
            }
        }
    }

    /// The one operation of this path and method.
    fn operation(&self, path: &str, method: &str) -> Result<&Value, String> {
        let paths = self.0["paths"].as_object().expect("a description has paths");
        let mut matching =
            paths.iter().filter(|(template, _)| fits(template, path)).map(|(_, item)| item);
        let item = matching.next().ok_or_else(|| format!("no path is {path}"))?;
        if matching.next().is_some() {
            return Err(format!("{path} is more than one path"));
        }
        item.get(method).ok_or_else(|| format!("{path} has no {method}"))
    }

    fn judge_query(&self, operation: &Value, query: &str) -> Result<(), String> {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let known: BTreeSet<&str> = parameters
            .map(|parameter| self.resolve(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            let name = percent_decode_str(name).decode_utf8().map_err(|e| e.to_string())?;
            // The server's own words in an `@odata.nextLink`, which is followed as it is.
            if !known.contains(&*name) && name != "$skiptoken" {
                return Err(format!("the query `{name}` is not declared"));
            }
        }
        Ok(())
    }

    fn judge_body(&self, schema: &Value, body: &Value) -> Result<(), String> {
        self.valid(schema, body)?;
        let mut declared = BTreeSet::new();
        self.declared(schema, &mut declared);
        match body.as_object().into_iter().flat_map(Map::keys).find(|k| !declared.contains(*k)) {
            Some(member) => Err(format!("the member `{member}` is not declared")),
            None => Ok(()),
        }
    }

    /// Whether a value is valid by a schema.
    fn valid(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let words = schema.as_object().expect("a schema is an object");
        if value.is_null() && schema["nullable"] == true {
            return Ok(());
        }
        for (word, told) in words {
            match word.as_str() {
                "$ref" => self.valid(self.resolve(schema), value)?,
                "allOf" => list(told).iter().try_for_each(|part| self.valid(part, value))?,
                "anyOf" => {
                    let tries: Vec<_> =
                        list(told).iter().map(|part| self.valid(part, value)).collect();
                    if tries.iter().all(Result::is_err) {
                        return Err(format!("none of anyOf: {tries:?}"));
                    }
                }
                "type" => {
                    let right = match told.as_str() {
                        Some("object") => value.is_object(),
                        Some("array") => value.is_array(),
                        Some("string") => value.is_string(),
                        Some("boolean") => value.is_boolean(),
                        Some("integer") => value.is_i64() || value.is_u64(),
                        Some("number") => value.is_number(),
                        other => panic!("an unknown type {other:?}"),
                    };
                    if !right {
                        return Err(format!("a value is no {told}"));
                    }
                }
                "enum" if !list(told).contains(value) => {
                    return Err(format!("a value is none of {told}"));
                }
                "required" => {
                    for name in list(told).iter().filter_map(Value::as_str) {
                        if value.is_object() && value.get(name).is_none() {
                            return Err(format!("the member `{name}` is missing"));
                        }
                    }
                }
                "properties" => {
                    for (name, schema) in told.as_object().expect("properties are an object") {
                        if let Some(value) = value.get(name) {
                            self.valid(schema, value).map_err(|why| format!("`{name}`: {why}"))?;
                        }
                    }
                }
                "items" => {
                    let items = value.as_array().into_iter().flatten();
                    items.into_iter().try_for_each(|item| self.valid(told, item))?;
                }
                "enum" | "nullable" | "format" | "pattern" | "additionalProperties" => {}
                _ if SILENT.contains(&word.as_str()) || word.starts_with("x-") => {}
                _ => panic!("a schema says `{word}`, which this reader does not know"),
            }
        }
        Ok(())
    }

    /// The members that a schema declares, those of its parts included.
    fn declared(&self, schema: &Value, into: &mut BTreeSet<String>) {
        if schema.get("$ref").is_some() {
            self.declared(self.resolve(schema), into);
        }
        for word in ["allOf", "anyOf"] {
            let parts = schema[word].as_array().into_iter().flatten();
            parts.into_iter().for_each(|part| self.declared(part, into));
        }
        into.extend(schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned());
    }

    /// Follows a `$ref` of this file.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("references stay in the file");
        self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Whether a path is an instance of a template: the same number of segments, each equal or a
/// parameter, and a parameter's text encoded as a segment must be (RFC 3986, `pchar`).
fn fits(template: &str, path: &str) -> bool {
    let segments = |text: &'_ str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (template, path) = (segments(template), segments(path));
    template.len() == path.len()
        && template.iter().zip(&path).all(|(wanted, found)| {
            if wanted.starts_with('{') && wanted.ends_with('}') {
                !found.is_empty() && is_segment(found)
            } else {
                wanted == found
            }
        })
}

fn is_segment(text: &str) -> bool {
    let unencoded = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let hex = |digit: Option<char>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
        let right = unencoded(c) || (c == '%' && hex(rest.next()) && hex(rest.next()));
        if !right {
            return false;
        }
    }
    true
}

#[test]
fn the_reader_is_strict() {
    let api = OpenApi::parse(
        "servers: [{url: 'https://graph.microsoft.com/beta'}]\n\
         paths:\n  /me/{id}/things:\n    post:\n      requestBody:\n        content:\n          \
         application/json: {schema: {$ref: '#/thing'}}\n\
         thing: {type: object, required: [kind], properties: {kind: {enum: [a, b]}, n: {type: integer}}}\n",
    );
    let judge = |target: &str, body: &str| {
        api.judge(&Sent {
            method: "POST".into(),
            target: target.into(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        })
    };
    assert_eq!(judge("/beta/me/1%2F2/things", r#"{"kind":"a","n":1}"#), Ok(()));
    for (target, body) in [
        ("/beta/me/1/2/things", r#"{"kind":"a"}"#),
        ("/beta/me/1 2/things", r#"{"kind":"a"}"#),
        ("/beta/me/1%2/things", r#"{"kind":"a"}"#),
        ("/v1.0/me/1/things", r#"{"kind":"a"}"#),
        ("/beta/me/1/things?$top=1", r#"{"kind":"a"}"#),
        ("/beta/me/1/things", r#"{"kind":"c"}"#),
        ("/beta/me/1/things", r#"{"n":1}"#),
        ("/beta/me/1/things", r#"{"kind":"a","n":"1"}"#),
        ("/beta/me/1/things", r#"{"kind":"a","more":1}"#),
        ("/beta/me/1/things", ""),
    ] {
        assert!(judge(target, body).is_err(), "{target} {body}");
    }
}
