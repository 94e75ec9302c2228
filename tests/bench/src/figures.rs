//! Measured figures with their targets, and the statistics for them.

use serde::Serialize;

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) target: Option<Target>,
    /// Whether the value reaches the target. `None` without a target or a value.
    pub(crate) reached: Option<bool>,
    /// Details of the measurement, or the range of its values.
    pub(crate) note: String,
}

impl Figure {
    pub(crate) fn new(name: &str, value: impl Into<Option<f64>>, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            unit,
            target: None,
            reached: None,
            note: String::new(),
        }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.reached = self.value.map(|value| match target {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        });
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// The median. For an even number of values, the mean of the two middle ones.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

/// The smallest value that is at least as large as the given share of all values.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let values = sorted(values.iter().copied());
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

/// Minimum and maximum as text, for example "0.91 to 1.02".
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> String {
    let values = sorted(values);
    match (values.first(), values.last()) {
        (Some(minimum), Some(maximum)) => format!("{minimum:.2} to {maximum:.2}"),
        _ => String::new(),
    }
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}
