//! Names that are close to a known one: a misspelled name is a mistake, not a name to ignore.

use super::{settings::SETTINGS, sources::CONFIG};

/// The number of letters in which a misspelled name may differ.
const MAX_DISTANCE: usize = 2;

/// The names of all settings and of their `_file` forms.
pub(super) fn known() -> impl Iterator<Item = String> {
    let settings = SETTINGS.iter().flat_map(|setting| {
        let name = setting.name.to_owned();
        std::iter::once(name).chain(setting.file_form())
    });
    settings.chain([CONFIG.to_owned()])
}

pub(super) fn is_known(name: &str) -> bool {
    known().any(|known| known == name)
}

/// The setting that was probably meant by an unknown name: one that differs in few letters, or that the name begins with.
pub(super) fn meant(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    few_letters_away(&name, known()).or_else(|| {
        let prefixes = known().filter(|known| {
            let rest = name.strip_prefix(known.as_str());
            rest.is_some_and(|rest| rest.starts_with('_'))
        });
        prefixes.max_by_key(String::len)
    })
}

/// The word that was probably meant by an unknown one: one that differs in few letters, or that the unknown one begins with.
pub(super) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    few_letters_away(&word, known.clone()).or_else(|| {
        let prefixes = known.filter(|known| word.starts_with(known));
        prefixes.max_by_key(|known| known.len())
    })
}

fn few_letters_away<T: AsRef<str>>(name: &str, known: impl Iterator<Item = T>) -> Option<T> {
    let close = known.map(|known| (strsim::damerau_levenshtein(known.as_ref(), name), known));
    let close =
        close.filter(|(distance, known)| *distance <= MAX_DISTANCE && known.as_ref().len() > 2 * distance);
    close
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
