//! The file of `admin_keys_file`: one `[[admin_key]]` table for each key.

use std::{collections::BTreeMap, path::Path};

use toml::de::{DeTable, DeValue};
use tower_session_auth::master_auth::{AdminKeyEntry, AdminKeyIssue, AdminKeys};

use super::similar;

/// The name of the tables.
const TABLE: &str = "admin_key";
const FIELDS: &[&str] = &["name", "hash", "rights", "agents", "expires_at"];

/// Reads the keys. A byte order mark at the start is ignored.
///
/// # Errors
/// All mistakes, with their lines. They contain no text of the file except names, rights, agents and dates.
pub(super) fn read(path: &Path) -> Result<AdminKeys, Vec<String>> {
    let failed = |error: std::io::Error| vec![format!("{}: {error}", path.display())];
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mut file = KeyFile::parse(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let keys = file.check();
    // By line, as the reader of the file finds them.
    file.mistakes.sort();
    let mistakes = file.mistakes.iter();
    let mistakes = mistakes.map(|(line, mistake)| format!("{}, line {line}: {mistake}", path.display()));
    let mistakes: Vec<_> = mistakes.collect();
    match keys {
        Some(keys) if mistakes.is_empty() && !keys.is_empty() => Ok(keys),
        _ if mistakes.is_empty() => Err(vec![format!(
            "{}: has no [[admin_key]] table (make one with: session-auth-server admin-key NAME --rights …)",
            path.display()
        )]),
        _ => Err(mistakes),
    }
}

struct KeyFile<'a> {
    text: &'a str,
    tables: Vec<KeyTable>,
    /// The mistakes so far, with their lines.
    mistakes: Vec<(usize, String)>,
}

/// A table of the file.
struct KeyTable {
    entry: AdminKeyEntry,
    line: usize,
    fields: BTreeMap<&'static str, Field>,
}

/// The place of a field.
struct Field {
    line: usize,
    /// False after a mistake in its type. Its content is then not checked.
    is_usable: bool,
}

impl<'a> KeyFile<'a> {
    fn parse(text: &'a str) -> Self {
        let mut file = Self {
            text,
            tables: Vec::new(),
            mistakes: Vec::new(),
        };
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(1, |span| file.line_of(span.start));
            file.mistakes.push((line, without_value(error.message())));
        }
        // After a syntax error, keys can be parts of values.
        if errors.is_empty() {
            file.read_tables(document.get_ref());
        }
        file
    }

    fn read_tables(&mut self, document: &DeTable<'_>) {
        for (key, value) in document {
            let line = self.line_of(key.span().start);
            let name = key.get_ref();
            match value.get_ref() {
                DeValue::Array(tables) if name == TABLE => {
                    for table in tables.iter() {
                        let line = self.line_of(table.span().start);
                        match table.get_ref() {
                            DeValue::Table(table) => self.read_table(line, table),
                            _ => self
                                .mistakes
                                .push((line, "expected [[admin_key]] tables".to_owned())),
                        }
                    }
                }
                _ if name == TABLE => {
                    let mistake = "a key is a table [[admin_key]], with two pairs of brackets";
                    self.mistakes.push((line, mistake.to_owned()));
                }
                _ => {
                    let mistake = format!("{name}: is outside a table [[admin_key]], or no such table");
                    self.mistakes.push((line, mistake));
                }
            }
        }
    }

    fn read_table(&mut self, line: usize, table: &DeTable<'_>) {
        let mut read = KeyTable {
            entry: AdminKeyEntry::default(),
            line,
            fields: BTreeMap::new(),
        };
        for (key, value) in table {
            let line = self.line_of(key.span().start);
            let name = key.get_ref().as_ref();
            let Some(field) = FIELDS.iter().find(|field| **field == name) else {
                let meant = similar::closest(name, FIELDS.iter().copied());
                let meant = meant
                    .map(|meant| format!("; did you mean {meant}?"))
                    .unwrap_or_default();
                self.mistakes
                    .push((line, format!("{name}: there is no such field{meant}")));
                continue;
            };
            let set = read.set(field, value.get_ref());
            let is_usable = set.is_ok();
            if let Err(expected) = set {
                self.mistakes.push((line, format!("{name}: expected {expected}")));
            }
            read.fields.insert(field, Field { line, is_usable });
        }
        self.tables.push(read);
    }

    /// Checks the entries, and adds their mistakes. `None` if there is a mistake in them.
    fn check(&mut self) -> Option<AdminKeys> {
        let entries = self.tables.iter().map(|table| table.entry.clone());
        match AdminKeys::from_entries(entries) {
            Ok(keys) => Some(keys),
            Err(error) => {
                let found = error.issues().iter().filter_map(|issue| self.place(issue));
                let found: Vec<_> = found.collect();
                self.mistakes.extend(found);
                None
            }
        }
    }

    /// The issue with its line. `None` if the type of the field is wrong, which was reported.
    fn place(&self, issue: &AdminKeyIssue) -> Option<(usize, String)> {
        let table = self.tables.get(issue.entry.checked_sub(1)?)?;
        let line = match table.fields.get(issue.field) {
            Some(field) => field.is_usable.then_some(field.line)?,
            None => table.line,
        };
        Some((line, issue.to_string()))
    }

    fn line_of(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }
}

impl KeyTable {
    /// Sets a field. `Err` says which type is expected.
    fn set(&mut self, field: &str, value: &DeValue<'_>) -> Result<(), &'static str> {
        let entry = &mut self.entry;
        match field {
            "name" => entry.name = text(value)?,
            "hash" => entry.hash = text(value)?,
            "rights" => entry.rights = texts(value)?,
            "agents" => entry.agents = Some(texts(value)?),
            _ => {
                entry.expires_at = Some(match value {
                    DeValue::Datetime(at) => at.to_string(),
                    value => text(value).map_err(|_| "a date or a time")?,
                });
            }
        }
        Ok(())
    }
}

fn text(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err("a text"),
    }
}

fn texts(value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let DeValue::Array(elements) = value else {
        return Err("a list of texts");
    };
    let texts = elements.iter().map(|element| text(element.get_ref()));
    texts.collect::<Result<_, _>>().map_err(|_| "a list of texts")
}

/// Removes a quoted value from a message: it may be a secret in the wrong place.
fn without_value(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", message[..start].trim_end(), &message[end + 1..])
        }
        _ => message.to_owned(),
    }
}
