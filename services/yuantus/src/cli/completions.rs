//! `yuantus completions`.

use clap::Args;
use clap_complete::Shell;

use crate::{failure::Failure, output};

/// Options of `completions`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The shell
    shell: Shell,
}

impl Options {
    /// Writes the completions of `command`.
    pub(crate) fn run(self, mut command: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "yuantus", &mut script);
        output::text(&String::from_utf8_lossy(&script))
    }
}
