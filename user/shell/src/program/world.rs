//! Names that there are: for completion, patterns and variables.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use mayfly_shell::complete::{self, Complete, Completion, Names};
use mayfly_shell::expand::{BYTES_MAX, World};
use mayfly_user::patchwork;

use super::builtin;
use super::system::{self, File};

/// Where programs are.
pub(crate) const PROGRAMS: [&str; 2] = ["/bin", "/usr/bin"];
/// Where the environment is.
pub(crate) const ENVIRONMENT: &str = "/proc/self/env";

/// The names of the machine, as they are when somebody asks.
#[derive(Debug)]
pub(crate) struct Here {
    /// The last status.
    pub(crate) status: i32,
}

/// Names of programs.
pub(crate) fn programs() -> Vec<String> {
    let mut names = Vec::new();
    for directory in PROGRAMS {
        let found = system::list(directory).unwrap_or_default();
        names.extend(found.into_iter().filter(|it| !it.1).map(|it| it.0));
    }
    names
}

impl Names for Here {
    fn commands(&mut self) -> Vec<String> {
        let mut names = programs();
        names.extend(builtin::NAMES.iter().map(|it| it.name.to_string()));
        names.sort();
        names.dedup();
        names
    }

    fn files(&mut self, directory: &str) -> Vec<(String, bool)> {
        system::list(directory).unwrap_or_default()
    }

    fn variables(&mut self) -> Vec<String> {
        let found = system::list(ENVIRONMENT).unwrap_or_default();
        found.into_iter().map(|it| it.0).collect()
    }
}

impl Complete for Here {
    fn complete(&mut self, before: &str) -> Completion {
        complete::complete(before, self)
    }
}

impl World for Here {
    fn variable(&mut self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "$" => Some(patchwork::getpid().to_string()),
            name => {
                let file = File::open(&format!("{ENVIRONMENT}/{name}")).ok()?;
                // More than this does not fit into any line.
                file.beginning(BYTES_MAX).ok()
            }
        }
    }

    fn names(&mut self, directory: &str) -> Vec<String> {
        let found = system::list(directory).unwrap_or_default();
        found.into_iter().map(|it| it.0).collect()
    }
}
