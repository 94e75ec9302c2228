//! The configuration file, in TOML.

use std::{path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    errors::Errors,
    origin::{Given, Origin},
    settings::SETTINGS,
    similar,
    sources::{CONFIG, Source, Texts},
    value_file,
};

/// Reads the file. Messages name the line, and never quote it, since it can contain a secret.
pub(super) fn read(path: &Path, errors: &mut Errors) -> Source {
    let text = match value_file::read_text(path) {
        Ok(text) => text,
        Err(error) => {
            errors.add(format!("{}: {error}", path.display()));
            return Source::new();
        }
    };
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let (table, mistakes) = DeTable::parse_recoverable(&text);
    for mistake in &mistakes {
        let line = mistake.span().map_or(1, |span| line_of(span.start));
        errors.add(format!("{}, line {line}: {}", path.display(), mistake.message()));
    }
    let shared: Arc<Path> = path.into();
    let mut source = Source::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().to_string();
        let given = Given {
            origin: Origin::File {
                path: shared.clone(),
                line: line_of(key.span().start),
            },
            name: name.clone(),
            value_file: None,
        };
        if !similar::is_known(&name) || name == CONFIG {
            let meant = similar::meant(&name).filter(|meant| meant != CONFIG);
            let meant = meant
                .map(|meant| format!("; did you mean {meant}?"))
                .unwrap_or_default();
            // After a syntax error, keys can be parts of values.
            if mistakes.is_empty() {
                errors.add(format!("{given}: there is no such setting{meant}"));
            }
            continue;
        }
        match texts(value.get_ref()) {
            Some(texts) => {
                source.insert(name, Texts { texts, given });
            }
            None => {
                let message = format!("{given}: expected text, a number, or a list of them");
                match SETTINGS.iter().find(|setting| setting.is_named(&name)) {
                    Some(setting) => errors.wrong_form(setting.name, message),
                    None => errors.add(message),
                }
            }
        }
    }
    source
}

/// The texts of a value. `None` for a form that no setting has.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(elements) => elements.iter().map(|element| text(element.get_ref())).collect(),
        single => text(single).map(|text| vec![text]),
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.trim().to_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}
