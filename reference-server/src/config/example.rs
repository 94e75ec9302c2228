//! The example of a configuration file, with every setting.

use super::SETTINGS;

/// The width of the comments.
const WIDTH: usize = 100;

/// A configuration file with every setting, commented out, with its meaning and its default.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# The configuration of session-auth-server. Every setting is shown with an example value.\n\
         # Remove the # before a setting to set it. Flags and environment variables override this file.\n",
    );
    for setting in SETTINGS {
        text.push('\n');
        for line in wrapped(&setting.plain_help()) {
            text += &format!("# {line}\n");
        }
        if let Some(form) = setting.file_form() {
            text += &format!("# Instead of the value, {form} can name a file that contains it.\n");
        }
        text += &format!("# Default: {}\n", setting.default);
        text += &format!("#{} = {}\n", setting.name, setting.example);
    }
    text
}

/// Breaks a text into lines.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
