//! `yuantus man`.

use std::{fs, path::PathBuf};

use clap::Args;
use clap_mangen::Man;

use crate::{failure::Failure, output};

/// Options of `man`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Write a page for every command into this directory, instead of the
    /// first to stdout
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Options {
    /// Writes the pages of `command`.
    pub(crate) fn run(self, command: clap::Command) -> Result<(), Failure> {
        let Some(directory) = self.dir else {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            return output::text(&String::from_utf8_lossy(&page));
        };
        let failed =
            |error| Failure::local(format!("write pages to {}", directory.display()), error);
        fs::create_dir_all(&directory).map_err(failed)?;
        clap_mangen::generate_to(command, &directory).map_err(failed)
    }
}
