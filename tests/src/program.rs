//! Programs of other projects that tests run: found in `PATH`, or installed from PyPI.

use std::{
    env,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::python;

/// A program that some tests need. A variable of the environment decides about them: `skip` skips them, and `required` fails them if
/// the program is missing. By default they are skipped only if it is missing.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    policy: &'static str,
    named_by: Option<&'static str>,
    wheel: Option<Wheel>,
    found: OnceLock<Result<PathBuf, String>>,
}

/// A wheel of PyPI that contains a program.
#[derive(Debug, Clone, Copy)]
pub struct Wheel {
    /// `name==version`.
    pub package: &'static str,
    /// A Python program that prints the path of the installed program.
    pub locate: &'static str,
}

impl Program {
    /// The program `name`, whose tests the variable `policy` controls.
    #[must_use]
    pub const fn new(name: &'static str, policy: &'static str) -> Self {
        Self {
            name,
            policy,
            named_by: None,
            wheel: None,
            found: OnceLock::new(),
        }
    }

    /// Uses the program that this variable names, if it is set.
    #[must_use]
    pub const fn named_by(mut self, variable: &'static str) -> Self {
        self.named_by = Some(variable);
        self
    }

    /// Installs the program from a wheel if it is not in `PATH`.
    #[must_use]
    pub const fn or_from(mut self, wheel: Wheel) -> Self {
        self.wheel = Some(wheel);
        self
    }

    /// The path of the program, or `None` if the tests that need it are skipped. Prints the choice once per process.
    ///
    /// # Panics
    /// If it is required and missing.
    #[track_caller]
    pub fn path(&self) -> Option<&Path> {
        let found = self.found.get_or_init(|| {
            let found = self.find();
            let line = match &found {
                Ok(program) => format!("{}: {}\n", self.name, program.display()),
                Err(why) => format!("{}: skipped: {why}\n", self.name),
            };
            // Not `eprintln!`, which the test runner captures.
            let _ = stderr().write_all(line.as_bytes());
            found
        });
        match found {
            Ok(program) => Some(program),
            Err(why) => {
                let required = variable(self.policy).is_some_and(|value| value == "required");
                assert!(!required, "{}: {why}", self.name);
                None
            }
        }
    }

    fn find(&self) -> Result<PathBuf, String> {
        if variable(self.policy).is_some_and(|value| value == "skip") {
            return Err(format!("{}=skip", self.policy));
        }
        if let Some((name, program)) = self.named_by.and_then(|name| Some((name, variable(name)?))) {
            return in_path(&program).ok_or(format!("{name} `{program}` was not found"));
        }
        match (in_path(self.name), self.wheel) {
            (Some(program), _) => Ok(program),
            (None, Some(wheel)) => wheel.install(),
            (None, None) => Err(format!("no {} is in PATH: tests/run installs it", self.name)),
        }
    }
}

impl Wheel {
    fn install(self) -> Result<PathBuf, String> {
        let python = python::try_with_packages(&[self.package])?;
        let program = python::try_output(&python, self.locate, &[])?;
        Some(PathBuf::from(program.trim()))
            .filter(|program| program.is_file())
            .ok_or(format!("{} has no program for this machine", self.package))
    }
}

/// The value of an environment variable. An empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Finds a program in PATH. A name with a slash is a path, as in a shell.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    // Debian installs servers in a folder that is not in the PATH of its users.
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
