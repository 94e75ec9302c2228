use serde::Deserialize;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text for people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}
