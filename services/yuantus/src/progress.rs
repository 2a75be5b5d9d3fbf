//! Shows how far an operation is, on stderr: a bar on a terminal, else a line
//! a step.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use yuantus_proto::v1::{Operation, OperationProgress, operation::State, operation_step};

use crate::output::note;

/// Shows one operation.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    last: String,
}

impl Progress {
    /// Looks where stderr goes.
    pub(crate) fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} [{elapsed}] {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, last: String::new() }
    }

    /// Shows where the operation is now. Why it failed is said at the end.
    pub(crate) fn show(&mut self, operation: &Operation) {
        if matches!(operation.state(), State::Failed | State::Cancelled) {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(line(operation, true)),
            None => {
                let line = line(operation, false);
                if line != self.last {
                    note(&line);
                    self.last = line;
                }
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What an operation is at, in one line; amounts only where they may change in
/// place.
fn line(operation: &Operation, amounts: bool) -> String {
    let state = operation.state().as_str_name().to_lowercase();
    let mut line = format!("{} {state}", operation.r#type);
    if operation.state() == State::Running && !operation.step.is_empty() {
        let done = |step: &operation_step::State| *step == operation_step::State::Done;
        let done = operation.steps.iter().map(|step| step.state()).filter(done).count();
        let total = operation.steps.len();
        line += &format!(" {}/{total} {}", (done + 1).min(total), operation.step);
    }
    if let Some(progress) = operation.progress.as_ref().filter(|p| amounts && p.done > 0) {
        line += &format!(" {}", amount(progress));
    }
    if operation.undoing {
        line += ", undoing";
    }
    if operation.attempt > 1 {
        line += &format!(" (attempt {}/{})", operation.attempt, operation.max_attempts);
    }
    if !operation.reason.is_empty() {
        line += &format!(": {}", operation.reason);
    }
    line
}

pub(crate) fn amount(progress: &OperationProgress) -> String {
    let show = |amount: i64| match progress.unit.as_str() {
        "bytes" => HumanBytes(amount.unsigned_abs()).to_string(),
        _ => amount.to_string(),
    };
    let unit = if progress.unit == "bytes" { "" } else { &progress.unit };
    let total =
        if progress.total > 0 { format!("/{}", show(progress.total)) } else { String::new() };
    format!("{}{total} {unit}", show(progress.done)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use yuantus_proto::v1::OperationStep;

    use super::*;

    #[test]
    fn a_line_says_step_attempt_and_reason() {
        let step = |name: &str, state: operation_step::State| OperationStep {
            name: name.into(),
            state: state.into(),
        };
        let operation = Operation {
            r#type: "CreateBackup".into(),
            state: State::Running.into(),
            step: "dump".into(),
            steps: vec![
                step("init", operation_step::State::Done),
                step("dump", operation_step::State::Running),
            ],
            progress: Some(OperationProgress { done: 2048, total: 4096, unit: "bytes".into() }),
            attempt: 2,
            max_attempts: 8,
            reason: "S3 answered 500".into(),
            ..Default::default()
        };
        let shown = line(&operation, true);
        assert_eq!(
            shown,
            "CreateBackup running 2/2 dump 2.00 KiB/4.00 KiB (attempt 2/8): S3 answered 500"
        );
    }

    #[test]
    fn a_line_says_that_it_is_undoing() {
        let operation = Operation {
            r#type: "CreateBackup".into(),
            state: State::Pending.into(),
            attempt: 3,
            max_attempts: 12,
            undoing: true,
            reason: "S3 answered 501".into(),
            ..Default::default()
        };
        let shown = line(&operation, true);
        assert_eq!(shown, "CreateBackup pending, undoing (attempt 3/12): S3 answered 501");
    }
}
