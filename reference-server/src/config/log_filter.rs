//! The log filter: directives in the form of `RUST_LOG`.
//!
//! A filter accepts any word as the target of log lines. A misspelled level would be such a target, and turn the log off. So a word
//! must be a level, or a target that this program has.

use tracing_subscriber::{EnvFilter, filter::Directive};

use super::similar;

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// The crates that log. A target begins with one of them.
const CRATES: &[&str] = &[
    "session_auth_server",
    "tower_session_auth",
    "h2",
    "hyper",
    "hyper_util",
    "log",
    "metrics",
    "metrics_exporter_prometheus",
    "mio",
    "redis",
    "rustls",
    "rustls_native_certs",
    "tokio",
    "tokio_rustls",
    "tokio_util",
    "tower",
    "tower_http",
    "tracing",
];

/// Checks a filter. Returns it without blanks, which would become parts of targets.
///
/// # Errors
/// All mistakes.
pub(super) fn check(filter: &str) -> Result<String, Vec<String>> {
    let directives = filter.split(',').map(str::trim).filter(|text| !text.is_empty());
    let directives: Vec<_> = directives.collect();
    if directives.is_empty() {
        return Err(vec![form()]);
    }
    let mistakes: Vec<_> = directives.iter().filter_map(|text| mistake(text)).collect();
    let filter = directives.join(",");
    if !mistakes.is_empty() {
        Err(mistakes)
    } else if EnvFilter::try_new(&filter).is_err() {
        Err(vec![form()])
    } else {
        Ok(filter)
    }
}

fn form() -> String {
    "must be a filter in the form of RUST_LOG, such as info or warn,tower_http=debug".to_owned()
}

/// The mistake in one directive: `LEVEL`, `TARGET`, or `TARGET[SPAN{FIELD}]=LEVEL` with any of its parts.
fn mistake(directive: &str) -> Option<String> {
    let spanned = directive
        .split_once('[')
        .map(|(target, rest)| (target, rest.rsplit_once(']')));
    let (target, level) = match (spanned, directive.split_once('=')) {
        (Some((_, None)), _) => return Some(form()),
        (Some((target, Some((_, level)))), _) => (target, level.strip_prefix('=')),
        (None, Some((target, level))) => (target, Some(level)),
        (None, None) if is_level(directive) || is_target(directive) => return None,
        (None, None) => return Some(unknown_word(directive)),
    };
    let wrong_level = level.filter(|level| !level.is_empty() && !is_level(level));
    if let Some(level) = wrong_level {
        let meant = meant(level, LEVELS);
        return Some(format!("{level:?} is no level: {}{meant}", LEVELS.join(", ")));
    }
    if !target.is_empty() && !is_target(target) {
        let meant = meant(target, CRATES);
        return Some(format!("{target:?} is no target of this program{meant}"));
    }
    directive.parse::<Directive>().err().map(|_| form())
}

fn unknown_word(word: &str) -> String {
    let known = [LEVELS, CRATES].concat();
    format!(
        "{word:?} is no level ({}) and no target of this program{}",
        LEVELS.join(", "),
        meant(word, &known)
    )
}

fn meant(word: &str, known: &[&str]) -> String {
    let name = word.split("::").next().unwrap_or(word);
    match similar::closest(name, known.iter().copied()) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => String::new(),
    }
}

/// A level by its name, or by its number from 0 (off) to 5 (trace).
fn is_level(text: &str) -> bool {
    let is_number = matches!(text.as_bytes(), [b'0'..=b'5']);
    is_number || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text))
}

fn is_target(text: &str) -> bool {
    let name = text.split("::").next().unwrap_or(text);
    CRATES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets_of_this_program_are_accepted_without_blanks() {
        for (filter, checked) in [
            ("info", "info"),
            ("WARN", "WARN"),
            ("3", "3"),
            ("off", "off"),
            ("redis", "redis"),
            ("info, tower_http=debug ,", "info,tower_http=debug"),
            (
                "warn,tower_session_auth::rejection=info",
                "warn,tower_session_auth::rejection=info",
            ),
            (
                "session_auth_server::access_log",
                "session_auth_server::access_log",
            ),
            ("info,[request]=debug", "info,[request]=debug"),
            (
                "session_auth_server[request{client=\"::1\"}]=trace",
                "session_auth_server[request{client=\"::1\"}]=trace",
            ),
            ("h2=", "h2="),
        ] {
            assert_eq!(check(filter).as_deref(), Ok(checked), "{filter}");
        }
    }

    #[test]
    fn each_other_word_is_a_mistake_with_a_suggestion() {
        for (filter, expected) in [
            (
                "inof",
                &[
                    "\"inof\" is no level (off, error, warn, info, debug, trace) and no target of this program; did you mean info?",
                ][..],
            ),
            ("warning", &["did you mean warn?"]),
            ("INFOO", &["did you mean info?"]),
            ("verbose", &["\"verbose\" is no level"]),
            ("6", &["\"6\" is no level"]),
            ("tower_sesion_auth", &["did you mean tower_session_auth?"]),
            (
                "info,tower_htp=debug",
                &["\"tower_htp\" is no target of this program; did you mean tower_http?"],
            ),
            ("info,colour=debug", &["\"colour\" is no target of this program"]),
            (
                "tower_http=inof",
                &["\"inof\" is no level: off, error, warn, info, debug, trace; did you mean info?"],
            ),
            ("inof,debgu", &["did you mean info?", "did you mean debug?"]),
            (
                "hyperr[request]=info",
                &["\"hyperr\" is no target of this program; did you mean hyper?"],
            ),
            ("info,[request", &["must be a filter"]),
            ("info,[{x=]=debug", &["must be a filter"]),
        ] {
            let mistakes = check(filter).unwrap_err();
            assert_eq!(mistakes.len(), expected.len(), "{filter}: {mistakes:?}");
            for (mistake, expected) in mistakes.iter().zip(expected) {
                assert!(mistake.contains(expected), "{filter}: {mistake}");
            }
        }
    }
}
