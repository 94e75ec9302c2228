//! The table, for people and as JSON.

use std::{fs, path::Path};

use serde::Serialize;

use crate::{
    figures::{Figure, Target},
    rounds::Row,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) redis: String,
    /// Server on one core, load and Redis on another.
    pub(crate) pinned: bool,
    /// Too short to mean anything.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// The share of the cores' time that other guests of the same host took away.
    pub(crate) stolen: Option<f64>,
    pub(crate) variants: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn print(&self) {
        println!("{}; Redis {}", self.machine, self.redis);
        println!(
            "{}; medians of {} rounds; {:.0} s in all, {} stolen by other guests of the host{}",
            if self.pinned {
                "server alone on one core, load and Redis on another"
            } else {
                "NOT pinned: server, load and Redis move between the cores"
            },
            self.rounds,
            self.seconds,
            self.stolen
                .map_or("nothing known to be".to_owned(), |share| format!(
                    "{:.1} %",
                    share * 100.0
                )),
            if self.quick {
                "; QUICK: no figure here means anything"
            } else {
                ""
            }
        );
        println!("\nratios to the server without auth in the same round (least to most)\n");
        println!("| server | requests/s | ratio | server CPU, us | ratio |");
        println!("|---|---:|---:|---:|---:|");
        for row in &self.variants {
            println!(
                "| {} | {} | {} ({}) | {} | {} ({}) |",
                row.name,
                number(row.requests_per_second),
                number(row.rate_ratio),
                row.rate_ratio_spread,
                number(row.cpu_micros),
                number(row.cpu_ratio),
                row.cpu_ratio_spread,
            );
        }
        println!("\n| figure | measured | target | | |\n|---|---:|---:|---|---|");
        for figure in &self.figures {
            println!(
                "| {} | {} {} | {} | {} | {} |",
                figure.name,
                number(figure.value),
                figure.unit,
                match figure.target {
                    Some(Target::AtMost(most)) => format!("<= {}", number(Some(most))),
                    Some(Target::AtLeast(least)) => format!(">= {}", number(Some(least))),
                    None => String::new(),
                },
                match figure.reached {
                    Some(true) => "reached",
                    Some(false) => "MISSED",
                    None => "",
                },
                figure.note,
            );
        }
    }

    pub(crate) fn write(&self, path: &Path) {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder for the table");
        }
        let json = serde_json::to_string_pretty(self).expect("JSON");
        fs::write(path, json + "\n").expect("a table written");
        println!("\nwritten to {}", path.display());
    }
}

/// Three digits or all that stand before the point.
fn number(value: Option<f64>) -> String {
    match value {
        None => "not known".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}
