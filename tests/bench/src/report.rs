//! The report: prints the tables and writes them as JSON.

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
    /// Whether the server has a core of its own. Load and Redis share another one then.
    pub(crate) pinned: bool,
    /// Whether the run was too short for reliable figures.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// Steal time as a share of the CPU time: other guests of the same host took it.
    pub(crate) steal_share: Option<f64>,
    pub(crate) variants: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn print(&self) {
        println!("{}; Redis {}", self.machine, self.redis);
        println!(
            "{}; medians of {} rounds; {:.0} s in total; steal time {}{}",
            if self.pinned {
                "server on its own core, load and Redis on another core"
            } else {
                "NOT PINNED: server, load and Redis share all cores"
            },
            self.rounds,
            self.seconds,
            self.steal_share
                .map_or("unknown".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            if self.quick {
                "; QUICK: the figures are not reliable"
            } else {
                ""
            }
        );
        println!("\nratios: relative to the server without auth in the same round (minimum to maximum)\n");
        println!("| server | requests/s | ratio | server CPU, µs | ratio |");
        println!("|---|---:|---:|---:|---:|");
        for row in &self.variants {
            println!(
                "| {} | {} | {} ({}) | {} | {} ({}) |",
                row.name,
                format_number(row.requests_per_second),
                format_number(row.rate_ratio),
                row.rate_ratio_range,
                format_number(row.cpu_micros),
                format_number(row.cpu_ratio),
                row.cpu_ratio_range,
            );
        }
        println!("\n| figure | value | target | result | note |\n|---|---:|---:|---|---|");
        for figure in &self.figures {
            println!(
                "| {} | {} {} | {} | {} | {} |",
                figure.name,
                format_number(figure.value),
                figure.unit,
                match figure.target {
                    Some(Target::AtMost(most)) => format!("<= {}", format_number(Some(most))),
                    Some(Target::AtLeast(least)) => format!(">= {}", format_number(Some(least))),
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
            fs::create_dir_all(folder).expect("create the folder of the JSON file");
        }
        let json = serde_json::to_string_pretty(self).expect("valid JSON");
        fs::write(path, json + "\n").expect("write the JSON file");
        println!("\nwritten to {}", path.display());
    }
}

/// Formats a value with three digits, or with all digits of its integer part.
fn format_number(value: Option<f64>) -> String {
    match value {
        None => "unknown".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}
