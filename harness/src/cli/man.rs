//! `mayfly man`: manual pages.
//!
//! Purpose: the command line as pages for `man`, made of its declaration.
//! Neighbours: [`super::Cli`] declares it; `completions` is made the same way.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_mangen::Man;
use mayfly::Error;

use super::Cli;
use super::exit::Exit;
use super::say::Say;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mayfly man | man -l -
  mayfly man --out ~/.local/share/man/man1";

/// Options of `mayfly man`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Folder for a page of each command.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints the page, or writes all of them.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let Some(folder) = &options.out else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        say.raw(&page)?;
        return Ok(Exit::Success);
    };
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|why| Error::Broken {
            what: format!("cannot write manual pages into {}", folder.display()),
            why: why.to_string(),
            remedy: "--out with a folder of yours".into(),
        })?;
    say.step("Wrote", &format!("{}/mayfly*.1", folder.display()));
    Ok(Exit::Success)
}
