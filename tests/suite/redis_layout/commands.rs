//! Parses the output of MONITOR.

use session_auth_tests::redis::Monitor;

/// A command that the server executed.
#[derive(Debug)]
pub struct Command {
    /// True for a call from a script, false for a client's command.
    pub in_script: bool,
    /// Name and arguments. Non-ASCII bytes stay escaped.
    pub words: Vec<String>,
}

impl Command {
    fn read(line: &str) -> Self {
        let (source, command) = line.split_once("] ").expect("a source in brackets");
        let mut words = Vec::new();
        let mut characters = command.chars();
        while characters.any(|character| character == '"') {
            let mut word = String::new();
            while let Some(character) = characters.next().filter(|&character| character != '"') {
                word.push(character);
                if character == '\\' {
                    word.extend(characters.next());
                }
            }
            words.push(word);
        }
        Self {
            in_script: source.ends_with(" lua"),
            words,
        }
    }

    /// The keys of the command. Except for scripts and TIME, each command of the store has one key, its first argument.
    pub fn keys(&self) -> &[String] {
        match &*self.words[0] {
            "EVALSHA" | "EVAL" => {
                let count: usize = self.words[2].parse().unwrap();
                &self.words[3..3 + count]
            }
            "MGET" => &self.words[1..],
            "TIME" => &[],
            _ => &self.words[1..2],
        }
    }
}

/// The commands that reached the server since the last call.
pub fn commands(monitor: &mut Monitor) -> Vec<Command> {
    monitor.lines().iter().map(|line| Command::read(line)).collect()
}

/// The names of the commands that clients, not scripts, sent since the last call.
pub fn sent(monitor: &mut Monitor) -> Vec<String> {
    commands(monitor)
        .into_iter()
        .filter(|command| !command.in_script)
        .map(|mut command| command.words.swap_remove(0))
        .collect()
}
